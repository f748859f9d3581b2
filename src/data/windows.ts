// Training windows by counter: (seed, step, index) says where a window starts, so a run that goes on after a kill
// sees the same text, whatever the micro-batch.

import { UserError } from "../util/errors.ts";
import { formatCount } from "../util/format.ts";
import { CounterRandom, PURPOSE } from "../util/philox.ts";

/**
 * Start of window `index` of step `step` in a stream of `tokens` ids, uniform over all starts that leave room for
 * `length` ids (contextWindow + 1). Throws a UserError when the stream is shorter than a window.
 */
export function windowStart(seed: number, step: number, index: number, tokens: number, length: number): number {
  if (tokens < length) {
    throw new UserError(`The train split has ${formatCount(tokens)} tokens, less than one window of ${length}.`, {
      code: "SPLIT_TOO_SHORT",
      hint: "Use a larger corpus or a smaller contextWindow.",
    });
  }
  return new CounterRandom(seed, PURPOSE.window, step).integer(index, tokens - length + 1);
}
