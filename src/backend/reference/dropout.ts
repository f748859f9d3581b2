// Dropout by counter: an element's fate depends only on (seed, step, micro-batch, site, index)   (Srivastava et al. 2014).

import { CounterRandom, PURPOSE } from "../../util/philox.ts";
import { integerScalar, optionalReals, realScalar, reals } from "../host-memory.ts";
import { type DropoutArgs, type DropoutKey, SITES_PER_MICRO_BATCH } from "../kernels.ts";

/**
 * Drops or keeps element `index`: 0 where its uniform number is below the probability, even if x is not finite, else
 * x / (1 - p). Without a key everything is kept as it is.
 */
export function dropper(key: DropoutKey | undefined): (x: number, index: number) => number {
  if (!key) return (x) => x;
  const { probability, seed, step, site } = dropoutNumbers(key);
  const random = new CounterRandom(seed, PURPOSE.dropout, step, site);
  return (x, index) => (random.uniform(index) < probability ? 0 : x / (1 - probability));
}

/** The numbers of a key now; `site` is the counter's word, which holds the micro-batch too. */
export function dropoutNumbers(key: DropoutKey) {
  const microBatch = integerScalar(key.microBatch, "dropout.microBatch");
  return {
    probability: realScalar(key.probability, "dropout.probability"),
    seed: key.seed,
    step: integerScalar(key.step, "dropout.step"),
    site: microBatch * SITES_PER_MICRO_BATCH + key.site,
  };
}

export function dropout(args: DropoutArgs): void {
  const y = reals(args.y, args.length, "dropout.y");
  const x = reals(args.x, args.length, "dropout.x");
  const residual = optionalReals(args.residual, args.length, "dropout.residual");
  const drop = dropper(args.dropout);
  for (let i = 0; i < args.length; i++) y[i] = (residual ? residual[i]! : 0) + drop(x[i]!, i);
}
