// Gated linear unit with SiLU   (Shazeer 2020): row n of x holds the gate, then the value.

import { reals } from "../host-memory.ts";
import type { SwigluArgs, SwigluGradientArgs } from "../kernels.ts";

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

export function swiglu(args: SwigluArgs): void {
  const { N, F } = args;
  const y = reals(args.y, N * F, "swiglu.y");
  const x = reals(args.x, N * 2 * F, "swiglu.x");
  for (let n = 0; n < N; n++) {
    for (let f = 0; f < F; f++) {
      const gate = x[n * 2 * F + f]!;
      y[n * F + f] = gate * sigmoid(gate) * x[n * 2 * F + F + f]!;
    }
  }
}

export function swigluGradient(args: SwigluGradientArgs): void {
  const { N, F } = args;
  const dx = reals(args.dx, N * 2 * F, "swigluGradient.dx");
  const dy = reals(args.dy, N * F, "swigluGradient.dy");
  const x = reals(args.x, N * 2 * F, "swigluGradient.x");
  for (let n = 0; n < N; n++) {
    for (let f = 0; f < F; f++) {
      const gate = x[n * 2 * F + f]!;
      const value = x[n * 2 * F + F + f]!;
      const s = sigmoid(gate);
      dx[n * 2 * F + f] = dy[n * F + f]! * value * s * (1 + gate * (1 - s));
      dx[n * 2 * F + F + f] = dy[n * F + f]! * gate * s;
    }
  }
}
