// Dropout by counter: an element's fate depends only on (seed, step, site, index)   (Srivastava et al. 2014).

import { CounterRandom, PURPOSE } from "../../util/philox.ts";
import { optionalReals, reals } from "../host-memory.ts";
import type { DropoutArgs, DropoutKey } from "../kernels.ts";

/** The factor of element `index`: 0 where its uniform number is below the probability, else 1 / (1 - p). */
export function dropoutFactor(key: DropoutKey): (index: number) => number {
  const random = new CounterRandom(key.seed, PURPOSE.dropout, key.step, key.site);
  return (index) => (random.uniform(index) < key.probability ? 0 : 1 / (1 - key.probability));
}

export function dropout(args: DropoutArgs): void {
  const y = reals(args.y, args.length, "dropout.y");
  const x = reals(args.x, args.length, "dropout.x");
  const residual = optionalReals(args.residual, args.length, "dropout.residual");
  const factor = dropoutFactor(args.dropout);
  for (let i = 0; i < args.length; i++) {
    const kept = factor(i);
    // A dropped value is zero even where x is not finite.
    y[i] = (residual ? residual[i]! : 0) + (kept === 0 ? 0 : x[i]! * kept);
  }
}
