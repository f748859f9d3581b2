// Launch of kernels/adamw.cu.

import type { AdamWArgs } from "../../kernels.ts";
import type { Launcher } from "../launcher.ts";
import { address, checked, f32, integerScalar, launchOverElements, pointer, realScalar, u32 } from "./arguments.ts";

export function launchAdamW(launcher: Launcher, call: AdamWArgs): void {
  const { g, m, v, length, beta1, beta2, eps, weightDecay } = call;
  const p = checked(call.p, "f32", length, "adamW.p");
  launchOverElements(launcher, "adamw", { length, type: "f32" }, [
    pointer(p.address),
    address(g, "f32", length, "adamW.g"),
    address(m, "f32", length, "adamW.m"),
    address(v, "f32", length, "adamW.v"),
    pointer(p.copy ?? 0n),
    u32(length, "adamW.length"),
    ...realScalar(call.lr, "adamW.lr"),
    ...[f32(beta1), f32(1 - beta1), f32(Math.log(beta1))],
    ...[f32(beta2), f32(1 - beta2), f32(Math.log(beta2))],
    f32(eps),
    f32(weightDecay),
    ...integerScalar(call.step, "adamW.step"),
    ...realScalar(call.gradientScale, "adamW.gradientScale"),
  ]);
}
