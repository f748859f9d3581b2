// Gaussian error linear unit, exact form   (Hendrycks & Gimpel 2016, section 2).

import { reals } from "../host-memory.ts";
import type { GeluArgs, GeluGradientArgs } from "../kernels.ts";
import { erf } from "./erf.ts";

/** Distribution function of the standard normal. */
const phi = (x: number) => 0.5 * (1 + erf(x / Math.SQRT2));

export function gelu({ length, ...args }: GeluArgs): void {
  const y = reals(args.y, length, "gelu.y");
  const x = reals(args.x, length, "gelu.x");
  for (let i = 0; i < length; i++) y[i] = x[i]! * phi(x[i]!);
}

/** dx = dy (Phi(x) + x density(x)). */
export function geluGradient({ length, ...args }: GeluGradientArgs): void {
  const dx = reals(args.dx, length, "geluGradient.dx");
  const dy = reals(args.dy, length, "geluGradient.dy");
  const x = reals(args.x, length, "geluGradient.x");
  for (let i = 0; i < length; i++) {
    const density = Math.exp(-0.5 * x[i]! * x[i]!) / Math.sqrt(2 * Math.PI);
    dx[i] = dy[i]! * (phi(x[i]!) + x[i]! * density);
  }
}
