// What a step's gradients are multiplied by, and whether training goes on   (Pascanu, Mikolov & Bengio 2013, section 3.2).

import { realScalar, reals } from "../host-memory.ts";
import type { ClipScaleArgs } from "../kernels.ts";

/** Against a division by zero; the constant is PyTorch's. */
const TINY = 1e-6;

export function clipScale({ numLosses, numSquares, numTokens, clip, ...args }: ClipScaleArgs): void {
  const out = reals(args.out, 4, "clipScale.out");
  const sums = reals(args.sums, numLosses + numSquares, "clipScale.sums");
  const maxLoss = realScalar(args.maxLoss, "clipScale.maxLoss");
  const loss = total(sums, 0, numLosses) / numTokens;
  const norm = Math.sqrt(total(sums, numLosses, numLosses + numSquares));
  // A comparison with NaN is false: written so that NaN halts.
  const sound = Number.isFinite(loss) && Number.isFinite(norm) && loss <= maxLoss;
  const halted = out[3] !== 0 || !sound;
  out[0] = loss;
  out[1] = norm;
  out[2] = halted ? Number.NaN : Math.min(1, clip / (norm + TINY));
  out[3] = halted ? 1 : 0;
}

function total(values: ArrayLike<number>, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum += values[i]!;
  return sum;
}
