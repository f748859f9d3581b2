// Layer normalization with biased variance   (Ba, Kiros & Hinton 2016).

import { optionalReals, reals } from "../host-memory.ts";
import type { LayerNormArgs, LayerNormGradientArgs } from "../kernels.ts";
import { finiteOrNaN } from "./finite-sum.ts";

export function layerNorm(args: LayerNormArgs): void {
  const { N, C, eps } = args;
  const y = reals(args.y, N * C, "layerNorm.y");
  const mean = reals(args.mean, N, "layerNorm.mean");
  const rstd = reals(args.rstd, N, "layerNorm.rstd");
  const x = reals(args.x, N * C, "layerNorm.x");
  const w = reals(args.w, C, "layerNorm.w");
  const b = optionalReals(args.b, C, "layerNorm.b");
  for (let n = 0; n < N; n++) {
    let sum = 0;
    for (let c = 0; c < C; c++) sum += x[n * C + c]!;
    const m = finiteOrNaN(sum) / C;
    let squares = 0;
    for (let c = 0; c < C; c++) squares += (x[n * C + c]! - m) ** 2;
    const r = 1 / Math.sqrt(finiteOrNaN(squares) / C + eps);
    mean[n] = m;
    rstd[n] = r;
    for (let c = 0; c < C; c++) y[n * C + c] = w[c]! * (x[n * C + c]! - m) * r + (b ? b[c]! : 0);
  }
}

/** With xhat = (x - mean) rstd and g = w dy: dx = rstd (g - mean_c(g) - xhat mean_c(g xhat)). */
export function layerNormGradient(args: LayerNormGradientArgs): void {
  const { N, C, accumulate = false } = args;
  const dx = reals(args.dx, N * C, "layerNormGradient.dx");
  const dw = reals(args.dw, C, "layerNormGradient.dw");
  const db = optionalReals(args.db, C, "layerNormGradient.db");
  const dy = reals(args.dy, N * C, "layerNormGradient.dy");
  const x = reals(args.x, N * C, "layerNormGradient.x");
  const w = reals(args.w, C, "layerNormGradient.w");
  const mean = reals(args.mean, N, "layerNormGradient.mean");
  const rstd = reals(args.rstd, N, "layerNormGradient.rstd");
  const dwSum = new Float64Array(C);
  const dbSum = new Float64Array(C);
  for (let n = 0; n < N; n++) {
    let meanG = 0;
    let meanGX = 0;
    for (let c = 0; c < C; c++) {
      const xhat = (x[n * C + c]! - mean[n]!) * rstd[n]!;
      meanG += (dy[n * C + c]! * w[c]!) / C;
      meanGX += (dy[n * C + c]! * w[c]! * xhat) / C;
    }
    for (let c = 0; c < C; c++) {
      const i = n * C + c;
      const xhat = (x[i]! - mean[n]!) * rstd[n]!;
      const gradient = rstd[n]! * (dy[i]! * w[c]! - meanG - xhat * meanGX);
      dwSum[c]! += dy[i]! * xhat;
      dbSum[c]! += dy[i]!;
      dx[i] = accumulate ? dx[i]! + gradient : gradient;
    }
  }
  for (let c = 0; c < C; c++) {
    dw[c]! += dwSum[c]!;
    if (db) db[c]! += dbSum[c]!;
  }
}
