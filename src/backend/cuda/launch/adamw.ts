// Launch of kernels/adamw.cu.

import type { AdamWArgs } from "../../kernels.ts";
import type { Launcher } from "../launcher.ts";
import { blocksOver, checked, f32, i32, integerScalar, launch, realScalar } from "./arguments.ts";
import { tablesOf } from "./tables.ts";

const TENSORS_AT_ONCE = 64;

export function launchAdamW(launcher: Launcher, call: AdamWArgs): void {
  const { tensors, beta1, beta2, eps } = call;
  const rows = tensors.map(({ length, weightDecay, ...tensor }) => {
    const p = checked(tensor.p, "f32", length, "adamW.p");
    const others = [
      checked(tensor.g, "f32", length, "adamW.g"),
      checked(tensor.m, "f32", length, "adamW.m"),
      checked(tensor.v, "f32", length, "adamW.v"),
    ];
    const pointers = [p.address, ...others.map((buffer) => buffer.address), p.copy ?? 0n];
    return { pointers, length, blocks: blocksOver(launcher, length, "f32"), numbers: [f32(weightDecay)] };
  });
  for (const { argument, count, blocks } of tablesOf(rows, TENSORS_AT_ONCE)) {
    launch(launcher, {
      kernel: "adamw",
      grid: [blocks, 1, 1],
      threads: 256,
      args: [
        ...realScalar(call.lr, "adamW.lr"),
        ...[f32(beta1), f32(1 - beta1), f32(Math.log(beta1))],
        ...[f32(beta2), f32(1 - beta2), f32(Math.log(beta2))],
        f32(eps),
        ...integerScalar(call.step, "adamW.step"),
        ...realScalar(call.gradientScale, "adamW.gradientScale"),
        i32(count),
        argument,
      ],
    });
  }
}
