// AdamW, one update in place   (Loshchilov & Hutter 2019, algorithm 2).

import { integerScalar, realScalar, reals } from "../host-memory.ts";
import type { AdamWArgs } from "../kernels.ts";

export function adamW(args: AdamWArgs): void {
  const { beta1, beta2, eps } = args;
  const lr = realScalar(args.lr, "adamW.lr");
  const step = integerScalar(args.step, "adamW.step");
  const gradientScale = realScalar(args.gradientScale, "adamW.gradientScale");
  for (const { length, weightDecay, ...tensor } of args.tensors) {
    const p = reals(tensor.p, length, "adamW.p");
    const g = reals(tensor.g, length, "adamW.g");
    const m = reals(tensor.m, length, "adamW.m");
    const v = reals(tensor.v, length, "adamW.v");
    if (Number.isNaN(gradientScale)) continue;
    for (let i = 0; i < length; i++) {
      const gradient = gradientScale * g[i]!;
      const mean = beta1 * m[i]! + (1 - beta1) * gradient;
      const square = beta2 * v[i]! + (1 - beta2) * gradient * gradient;
      const corrected = mean / (1 - beta1 ** step) / (Math.sqrt(square / (1 - beta2 ** step)) + eps);
      m[i] = mean;
      v[i] = square;
      p[i] = p[i]! - lr * corrected - lr * weightDecay * p[i]!;
    }
  }
}
