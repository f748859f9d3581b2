// Output projection and cross-entropy, one row of logits at a time.

import { integers, optionalReals, reals } from "../host-memory.ts";
import type { HeadLossArgs } from "../kernels.ts";

/** The target of a row that has no loss. */
const IGNORED = -1;

export function headLoss(args: HeadLossArgs): void {
  const { N, C, V, gradientScale = 1 } = args;
  const losses = reals(args.losses, N, "headLoss.losses");
  const x = reals(args.x, N * C, "headLoss.x");
  const w = reals(args.w, V * C, "headLoss.w");
  const targets = integers(args.targets, N, "headLoss.targets");
  const dx = optionalReals(args.dx, N * C, "headLoss.dx");
  const dw = optionalReals(args.dw, V * C, "headLoss.dw");
  for (let n = 0; n < N; n++) checkTarget(targets[n]!, n, V);
  const logits = new Float64Array(V);
  const dwSum = dw ? new Float64Array(V * C) : undefined;
  for (let n = 0; n < N; n++) {
    const target = targets[n]!;
    let max = Number.NEGATIVE_INFINITY;
    for (let v = 0; v < V; v++) {
      let logit = 0;
      for (let c = 0; c < C; c++) logit += x[n * C + c]! * w[v * C + c]!;
      logits[v] = logit;
      max = Math.max(max, logit);
    }
    let sum = 0;
    for (let v = 0; v < V; v++) sum += Math.exp(logits[v]! - max);
    losses[n] = target === IGNORED ? 0 : max + Math.log(sum) - logits[target]!;
    if (!dx || !dwSum) continue;
    const dxRow = new Float64Array(C);
    for (let v = 0; v < V && target !== IGNORED; v++) {
      const dLogit = gradientScale * (Math.exp(logits[v]! - max) / sum - (v === target ? 1 : 0));
      for (let c = 0; c < C; c++) {
        dxRow[c]! += dLogit * w[v * C + c]!;
        dwSum[v * C + c]! += dLogit * x[n * C + c]!;
      }
    }
    dx.set(dxRow, n * C);
  }
  if (dw && dwSum) for (let i = 0; i < V * C; i++) dw[i]! += dwSum[i]!;
}

/** Throws a RangeError for a target that is neither a word of the vocabulary nor -1. */
export function checkTarget(target: number, n: number, V: number): void {
  if (target < IGNORED || target >= V) {
    throw new RangeError(`headLoss: target ${target} at row ${n} is outside the vocabulary 0..${V - 1}`);
  }
}
