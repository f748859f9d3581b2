// Dropout by counter: an element's fate depends only on (seed, step, site, index)   (Srivastava et al. 2014).

import { CounterRandom, PURPOSE } from "../../util/philox.ts";
import { optionalReals, reals } from "../host-memory.ts";
import type { DropoutArgs, DropoutKey } from "../kernels.ts";

/**
 * Drops or keeps element `index`: 0 where its uniform number is below the probability, even if x is not finite, else
 * x / (1 - p). Without a key everything is kept as it is.
 */
export function dropper(key: DropoutKey | undefined): (x: number, index: number) => number {
  if (!key) return (x) => x;
  const random = new CounterRandom(key.seed, PURPOSE.dropout, key.step, key.site);
  return (x, index) => (random.uniform(index) < key.probability ? 0 : x / (1 - key.probability));
}

export function dropout(args: DropoutArgs): void {
  const y = reals(args.y, args.length, "dropout.y");
  const x = reals(args.x, args.length, "dropout.x");
  const residual = optionalReals(args.residual, args.length, "dropout.residual");
  const drop = dropper(args.dropout);
  for (let i = 0; i < args.length; i++) y[i] = (residual ? residual[i]! : 0) + drop(x[i]!, i);
}
