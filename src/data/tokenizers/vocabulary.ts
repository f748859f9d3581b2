// A byte-level BPE vocabulary: 256 byte symbols (ids 0 to 255), one entry per merge in the order of learning, and the
// end of text as the last id. The id of a merge is therefore also its rank: lower ids are merged first.

import { type Digest, digestOf } from "../../util/digest.ts";
import { SYMBOL_OF_BYTE } from "./byte-symbols.ts";

export const NUM_BYTES = 256;

/** The spelling of the end of text in `tokenizer.json`. In a document the same characters are plain text. */
export const END_OF_TEXT = "<|endoftext|>";

export class Vocabulary {
  readonly size: number;
  readonly endOfText: number;
  private knownDigest: Digest | undefined;
  private knownOffsets: Uint32Array | undefined;

  /**
   * `byteOfId` (256) is the byte of each of the first ids. `merges` (2 per merge) holds the ids of the left and right
   * part; both must be lower than the id of the merge, 256 + its place.
   */
  constructor(
    readonly byteOfId: Uint8Array,
    readonly merges: Int32Array,
  ) {
    this.endOfText = NUM_BYTES + merges.length / 2;
    this.size = this.endOfText + 1;
  }

  /** Digest of the entries in the order of their ids and of the merges. */
  get digest(): Digest {
    this.knownDigest ??= digestOf("stlm.tokenizer.v1", { vocabulary: this.symbols(), merges: Array.from(this.merges) });
    return this.knownDigest;
  }

  /** Every entry in GPT-2's printable spelling, in the order of the ids. */
  symbols(): string[] {
    const symbols = Array.from(this.byteOfId, (byte) => SYMBOL_OF_BYTE[byte]);
    for (let i = 0; i < this.merges.length; i += 2) {
      symbols.push(symbols[this.merges[i]] + symbols[this.merges[i + 1]]);
    }
    symbols.push(END_OF_TEXT);
    return symbols;
  }

  /** The bytes of all entries one after the other; entry `id` lies at `offsets[id]` up to `offsets[id + 1]`. */
  entries(): { bytes: Uint8Array; offsets: Uint32Array } {
    const offsets = this.offsets();
    const bytes = new Uint8Array(offsets[this.size]);
    bytes.set(this.byteOfId);
    for (let id = NUM_BYTES; id < this.endOfText; id++) {
      let at = offsets[id];
      for (const part of [this.merges[2 * (id - NUM_BYTES)], this.merges[2 * (id - NUM_BYTES) + 1]]) {
        bytes.copyWithin(at, offsets[part], offsets[part + 1]);
        at += offsets[part + 1] - offsets[part];
      }
    }
    bytes.set(new TextEncoder().encode(END_OF_TEXT), offsets[this.endOfText]);
    return { bytes, offsets };
  }

  private offsets(): Uint32Array {
    if (this.knownOffsets) return this.knownOffsets;
    const offsets = new Uint32Array(this.size + 1);
    const length = (id: number) => offsets[id + 1] - offsets[id];
    for (let id = 0; id < this.endOfText; id++) {
      const merge = 2 * (id - NUM_BYTES);
      offsets[id + 1] = offsets[id] + (merge < 0 ? 1 : length(this.merges[merge]) + length(this.merges[merge + 1]));
    }
    offsets[this.size] = offsets[this.endOfText] + END_OF_TEXT.length;
    this.knownOffsets = offsets;
    return offsets;
  }
}
