// Dropout by counter: an element's fate depends only on (seed, step, site, index in the step)   (Srivastava et al. 2014).

import { CounterRandom, PURPOSE } from "../../util/philox.ts";
import { blocksPerMicroBatch } from "../dropout-blocks.ts";
import { integerScalar, optionalReals, realScalar, reals } from "../host-memory.ts";
import type { DropoutArgs, DropoutKey } from "../kernels.ts";

/**
 * Drops or keeps element `index` of `length`: 0 where its uniform number is below the probability, even if x is not finite, else
 * x / (1 - p). Without a key everything is kept as it is.
 */
export function dropper(key: DropoutKey | undefined, length: number): (x: number, index: number) => number {
  if (!key) return (x) => x;
  const { probability, seed, step, site, first } = dropoutNumbers(key, length);
  const random = new CounterRandom(seed, PURPOSE.dropout, step, site);
  return (x, index) => (random.uniform((first * 4 + index) % 2 ** 34) < probability ? 0 : x / (1 - probability));
}

/** The numbers of a key now, in a call of `length` elements; `first` is the counter's first word at element 0. */
export function dropoutNumbers(key: DropoutKey, length: number) {
  const microBatch = integerScalar(key.microBatch, "dropout.microBatch");
  return {
    probability: realScalar(key.probability, "dropout.probability"),
    seed: key.seed,
    step: integerScalar(key.step, "dropout.step"),
    site: key.site,
    first: (microBatch * blocksPerMicroBatch(key, length)) % 2 ** 32,
  };
}

export function dropout(args: DropoutArgs): void {
  const y = reals(args.y, args.length, "dropout.y");
  const x = reals(args.x, args.length, "dropout.x");
  const residual = optionalReals(args.residual, args.length, "dropout.residual");
  const drop = dropper(args.dropout, args.length);
  for (let i = 0; i < args.length; i++) y[i] = (residual ? residual[i]! : 0) + drop(x[i]!, i);
}
