// How often each piece of the training text occurs: BPE learns from these counts alone, never from the text again.
// Counts are exact until the distinct words have more bytes than MAX_WORD_BYTES, some hundreds of megabytes of English.
// Then, and each time it happens again, the words seen at most t times are forgotten, for the first t of 1, 2, 4, 8 ...
// that leaves at most half of the bytes (after lossy counting, Manku & Motwani 2002). What is forgotten depends on the
// documents and their order alone, and memory stays bounded.

import { pieceEnd } from "./pre-tokenizer.ts";

const FIRST_BITS = 14;
const KEPT_BYTES = 1 << 22;
/** The trainer's memory is some 40 times this. */
export const MAX_WORD_BYTES = 12 << 20;

export class WordCounts {
  /** The bytes of all distinct words, one after the other. */
  bytes = new Uint8Array(1 << 16);
  numWords = 0;
  /** How many words were forgotten; one that came back and was forgotten again counts twice. */
  numForgotten = 0;
  /** Where word `i` ends in `bytes`; it starts where the one before ends. */
  private ends = new Int32Array(1 << FIRST_BITS);
  private hashes = new Int32Array(1 << FIRST_BITS);
  private counts = new Float64Array(1 << FIRST_BITS); // beyond 2^32 in a large corpus
  /** Open addressing: index of the word plus one, or 0. */
  private slots = new Int32Array(2 << FIRST_BITS);
  private readonly encoder = new TextEncoder();
  private scratch = new Uint8Array(1 << 16);

  constructor(private readonly maxWordBytes = MAX_WORD_BYTES) {}

  /** Adds the pieces of one document, a text or its UTF-8. Returns its UTF-8 bytes. */
  add(document: string | Uint8Array): number {
    const isText = typeof document === "string";
    const bytes = isText ? this.scratchFor(document) : document;
    const length = isText ? this.encoder.encodeInto(document, bytes).written : bytes.length;
    for (let start = 0; start < length; ) {
      const end = pieceEnd(bytes, start, length);
      this.addWord(bytes, start, end);
      start = end;
    }
    if (this.numBytes > this.maxWordBytes) this.forgetRareWords();
    return length;
  }

  /** Room for the UTF-8 of a text, kept from text to text where it is not too large. */
  private scratchFor(text: string): Uint8Array {
    const room = 3 * text.length;
    if (room <= this.scratch.length) return this.scratch;
    const scratch = new Uint8Array(room);
    if (room <= KEPT_BYTES) this.scratch = scratch;
    return scratch;
  }

  /** Of all distinct words. */
  get numBytes(): number {
    return this.numWords === 0 ? 0 : this.ends[this.numWords - 1];
  }

  startOf(word: number): number {
    return word === 0 ? 0 : this.ends[word - 1];
  }

  endOf(word: number): number {
    return this.ends[word];
  }

  countOf(word: number): number {
    return this.counts[word];
  }

  private addWord(bytes: Uint8Array, from: number, to: number): void {
    let hash = 0x811c9dc5 | 0;
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
    const slot = this.find(hash, bytes, from, to);
    if (this.slots[slot] !== 0) {
      this.counts[this.slots[slot] - 1]++;
      return;
    }
    if (this.numWords === this.ends.length) {
      this.grow();
      this.addWord(bytes, from, to);
      return;
    }
    const word = this.numWords++;
    const start = this.startOf(word);
    const end = start + to - from;
    if (end > this.bytes.length) {
      const longer = new Uint8Array(Math.max(end, 2 * this.bytes.length));
      longer.set(this.bytes);
      this.bytes = longer;
    }
    for (let i = from; i < to; i++) this.bytes[start + i - from] = bytes[i];
    this.ends[word] = end;
    this.hashes[word] = hash;
    this.counts[word] = 1;
    this.slots[slot] = word + 1;
  }

  /** The slot of a word, or the free one where it belongs. */
  private find(hash: number, bytes: Uint8Array, from: number, to: number): number {
    const mask = this.slots.length - 1;
    for (let slot = spread(hash) & mask; ; slot = (slot + 1) & mask) {
      const word = this.slots[slot] - 1;
      if (word < 0 || (this.hashes[word] === hash && this.isWord(word, bytes, from, to))) return slot;
    }
  }

  private isWord(word: number, bytes: Uint8Array, from: number, to: number): boolean {
    const start = this.startOf(word);
    if (this.ends[word] - start !== to - from) return false;
    for (let i = from; i < to; i++) if (this.bytes[start + i - from] !== bytes[i]) return false;
    return true;
  }

  private forgetRareWords(): void {
    let most = 1;
    while (this.bytesSeenMoreThan(most) > this.maxWordBytes / 2) most *= 2;
    const { bytes, ends, hashes, counts } = this;
    let kept = 0;
    let to = 0;
    for (let word = 0, start = 0; word < this.numWords; word++) {
      const end = ends[word];
      if (counts[word] > most) {
        bytes.copyWithin(to, start, end);
        to += end - start;
        ends[kept] = to;
        hashes[kept] = hashes[word];
        counts[kept] = counts[word];
        kept++;
      }
      start = end;
    }
    this.numForgotten += this.numWords - kept;
    this.numWords = kept;
    this.slots.fill(0);
    this.fillSlots();
  }

  private bytesSeenMoreThan(most: number): number {
    let sum = 0;
    for (let word = 0; word < this.numWords; word++) {
      if (this.counts[word] > most) sum += this.ends[word] - this.startOf(word);
    }
    return sum;
  }

  private grow(): void {
    const length = 2 * this.ends.length;
    const ends = new Int32Array(length);
    const hashes = new Int32Array(length);
    const counts = new Float64Array(length);
    ends.set(this.ends);
    hashes.set(this.hashes);
    counts.set(this.counts);
    this.ends = ends;
    this.hashes = hashes;
    this.counts = counts;
    this.slots = new Int32Array(2 * length);
    this.fillSlots();
  }

  private fillSlots(): void {
    const { hashes } = this;
    const mask = this.slots.length - 1;
    for (let word = 0; word < this.numWords; word++) {
      let slot = spread(hashes[word]) & mask;
      while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
      this.slots[slot] = word + 1;
    }
  }
}

/** FNV's low bits depend on the last bytes alone; fold the high ones in. */
function spread(hash: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 8;
}
