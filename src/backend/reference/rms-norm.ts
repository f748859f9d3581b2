// Root mean square layer normalization   (Zhang & Sennrich 2019).

import { reals } from "../host-memory.ts";
import type { RmsNormArgs, RmsNormGradientArgs } from "../kernels.ts";
import { finiteOrNaN } from "./finite-sum.ts";

export function rmsNorm(args: RmsNormArgs): void {
  const { N, C, eps } = args;
  const y = reals(args.y, N * C, "rmsNorm.y");
  const rstd = reals(args.rstd, N, "rmsNorm.rstd");
  const x = reals(args.x, N * C, "rmsNorm.x");
  const w = reals(args.w, C, "rmsNorm.w");
  for (let n = 0; n < N; n++) {
    let sum = 0;
    for (let c = 0; c < C; c++) sum += x[n * C + c]! ** 2;
    const scale = 1 / Math.sqrt(finiteOrNaN(sum) / C + eps);
    rstd[n] = scale;
    for (let c = 0; c < C; c++) y[n * C + c] = w[c]! * x[n * C + c]! * scale;
  }
}

/** dx = rstd (w dy - x rstd^2 mean_c(w dy x));  dw += sum_n dy x rstd. */
export function rmsNormGradient(args: RmsNormGradientArgs): void {
  const { N, C, accumulate = false } = args;
  const dx = reals(args.dx, N * C, "rmsNormGradient.dx");
  const dw = reals(args.dw, C, "rmsNormGradient.dw");
  const dy = reals(args.dy, N * C, "rmsNormGradient.dy");
  const x = reals(args.x, N * C, "rmsNormGradient.x");
  const w = reals(args.w, C, "rmsNormGradient.w");
  const rstd = reals(args.rstd, N, "rmsNormGradient.rstd");
  const dwSum = new Float64Array(C);
  for (let n = 0; n < N; n++) {
    const r = rstd[n]!;
    let projection = 0;
    for (let c = 0; c < C; c++) projection += dy[n * C + c]! * w[c]! * x[n * C + c]!;
    projection *= (r * r) / C;
    for (let c = 0; c < C; c++) {
      const i = n * C + c;
      const gradient = r * (dy[i]! * w[c]! - x[i]! * projection);
      dwSum[c]! += dy[i]! * x[i]! * r;
      dx[i] = accumulate ? dx[i]! + gradient : gradient;
    }
  }
  for (let c = 0; c < C; c++) dw[c]! += dwSum[c]!;
}
