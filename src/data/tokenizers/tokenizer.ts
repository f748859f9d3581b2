// What the pipeline asks of a tokenizer, and the one implementation: byte-level BPE over a vocabulary. GPT-2's, one
// trained here and plain bytes (no merges at all) differ in their vocabulary alone.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { prettyCanonicalJson } from "../../util/canonical-json.ts";
import type { Digest } from "../../util/digest.ts";
import { type IdArray, MergeEncoder } from "./merge-encoder.ts";
import { writeTokenizerJson } from "./tokenizer-json.ts";
import { NUM_BYTES, type Vocabulary } from "./vocabulary.ts";

export type TokenizerKind = "gpt2" | "bpe" | "bytes";

/** A file of a saved tokenizer. */
export const TOKENIZER_JSON = "tokenizer.json";
export const SUMMARY_JSON = "stlm-tokenizer.json";

export interface Tokenizer {
  readonly kind: TokenizerKind;
  readonly vocabSize: number;
  /** Put between documents by whoever joins them; `encode` never produces it. */
  readonly endOfText: number;
  /** Of the vocabulary and merges alone. */
  readonly digest: Digest;
  readonly vocabulary: Vocabulary;
  /**
   * The ids of a text, a fresh array: uint16 where vocabSize <= 65,536, else uint32. `<|endoftext|>` and its like are
   * text. Lone surrogates become U+FFFD, as in every UTF-8 encoder.
   */
  encode(text: string): IdArray;
  /**
   * The ids of UTF-8 bytes from `from` (default 0) to `to` (default the end). A byte that is not part of valid UTF-8
   * counts as one symbol character and keeps its value, so `decodeBytes` gives back any bytes whatever.
   */
  encodeUtf8(bytes: Uint8Array, from?: number, to?: number): IdArray;
  /** The same ids into `out` from `at` on, where there is room for one a byte. Returns where they end. */
  encodeInto(bytes: Uint8Array, from: number, to: number, out: IdArray, at: number): number;
  /** The text of ids; bytes that are not valid UTF-8 become U+FFFD. Throws a RangeError for an id out of range. */
  decode(ids: ArrayLike<number>): string;
  /** The bytes of ids; the end of text is spelled `<|endoftext|>`. Throws a RangeError for an id out of range. */
  decodeBytes(ids: ArrayLike<number>): Uint8Array;
  /** Writes `tokenizer.json` and `stlm-tokenizer.json` into a folder, which is made. Throws system errors. */
  save(folder: string): void;
}

/** Scratch space for this many bytes is kept from call to call; longer texts have their own, freed afterwards. */
const KEPT_BYTES = 1 << 22;

export class ByteLevelTokenizer implements Tokenizer {
  private encoder: MergeEncoder | undefined;
  private entries: { bytes: Uint8Array; offsets: Uint32Array } | undefined;
  private utf8 = new Uint8Array(0);
  private ids: IdArray;

  constructor(
    readonly kind: TokenizerKind,
    readonly vocabulary: Vocabulary,
  ) {
    this.ids = this.newIds(0);
  }

  get vocabSize(): number {
    return this.vocabulary.size;
  }

  get endOfText(): number {
    return this.vocabulary.endOfText;
  }

  get digest(): Digest {
    return this.vocabulary.digest;
  }

  encode(text: string): IdArray {
    const room = 3 * text.length; // UTF-8 bytes of a UTF-16 unit, at most
    const bytes = room <= this.utf8.length ? this.utf8 : new Uint8Array(room);
    if (room <= KEPT_BYTES) this.utf8 = bytes;
    return this.encodeUtf8(bytes, 0, new TextEncoder().encodeInto(text, bytes).written);
  }

  encodeUtf8(bytes: Uint8Array, from = 0, to = bytes.length): IdArray {
    if (from < 0 || from > to || to > bytes.length) {
      throw new RangeError(`Cannot encode bytes ${from} to ${to} of ${bytes.length}`);
    }
    const ids = to - from <= this.ids.length ? this.ids : this.newIds(to - from);
    if (ids.length <= KEPT_BYTES) this.ids = ids;
    return ids.slice(0, this.encodeInto(bytes, from, to, ids, 0));
  }

  encodeInto(bytes: Uint8Array, from: number, to: number, out: IdArray, at: number): number {
    if (this.vocabulary.merges.length === 0) return this.encodeBytewise(bytes, from, to, out, at);
    this.encoder ??= new MergeEncoder(this.vocabulary);
    return this.encoder.encodeInto(bytes, from, to, out, at);
  }

  decode(ids: ArrayLike<number>): string {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.decodeBytes(ids));
  }

  decodeBytes(ids: ArrayLike<number>): Uint8Array {
    this.entries ??= this.vocabulary.entries();
    const { bytes, offsets } = this.entries;
    let length = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      if (!(Number.isInteger(id) && id >= 0 && id < this.vocabSize)) {
        throw new RangeError(`Token id ${id} at position ${i} is not one of the ${this.vocabSize} of this tokenizer`);
      }
      length += offsets[id + 1] - offsets[id];
    }
    const text = new Uint8Array(length);
    let at = 0;
    for (let i = 0; i < ids.length; i++) {
      for (let from = offsets[ids[i]]; from < offsets[ids[i] + 1]; from++) text[at++] = bytes[from];
    }
    return text;
  }

  save(folder: string): void {
    const { kind, vocabSize, endOfText, digest } = this;
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, TOKENIZER_JSON), writeTokenizerJson(this.vocabulary));
    writeFileSync(path.join(folder, SUMMARY_JSON), prettyCanonicalJson({ kind, vocabSize, endOfText, digest }));
  }

  private encodeBytewise(bytes: Uint8Array, from: number, to: number, out: IdArray, at: number): number {
    const idOfByte = new Uint8Array(NUM_BYTES);
    this.vocabulary.byteOfId.forEach((byte, id) => {
      idOfByte[byte] = id;
    });
    for (let i = from; i < to; i++) out[at++] = idOfByte[bytes[i]];
    return at;
  }

  private newIds(length: number): IdArray {
    return this.vocabSize <= 65_536 ? new Uint16Array(length) : new Uint32Array(length);
  }
}
