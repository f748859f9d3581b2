// Token ids that are in memory, as a trainer reads them.

import type { TokenSource } from "./trainer.ts";

/** One stream of ids. Its readWindow throws a RangeError for a window that is not inside the stream. */
export function tokenArray(ids: ArrayLike<number>): TokenSource {
  const stream = Int32Array.from(ids);
  return {
    tokens: stream.length,
    readWindow(start, length, out = new Int32Array(length)) {
      if (start < 0 || start + length > stream.length) {
        throw new RangeError(`The window ${start} + ${length} is not inside ${stream.length} tokens`);
      }
      out.set(stream.subarray(start, start + length));
      return out;
    },
  };
}
