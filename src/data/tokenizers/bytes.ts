// No vocabulary to learn: the id of a byte is the byte, and 256 ends a text. Bits per token are bits per byte.

import { ByteLevelTokenizer } from "./tokenizer.ts";
import { NUM_BYTES, Vocabulary } from "./vocabulary.ts";

export const bytes = {
  fixed: () =>
    new ByteLevelTokenizer(
      "bytes",
      new Vocabulary(
        new Uint8Array(NUM_BYTES).map((_, i) => i),
        new Int32Array(0),
      ),
    ),
};
