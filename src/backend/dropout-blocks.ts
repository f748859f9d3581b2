// How far a dropout mask's counter moves on from one micro-batch to the next; every device asks here.

import type { DropoutKey } from "./kernels.ts";

/** Blocks of four random numbers that a whole micro-batch takes; `length` elements belong to this call's sequences. */
export function blocksPerMicroBatch({ sequences = 1, microBatchSize = sequences }: DropoutKey, length: number): number {
  return microBatchSize * Math.ceil(length / sequences / 4);
}
