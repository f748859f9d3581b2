// How often each piece of the training text occurs: BPE learns from these counts alone, never from the text again.

import { pieceEnd } from "./pre-tokenizer.ts";

const FIRST_BITS = 14;

export class WordCounts {
  /** The bytes of all distinct words, one after the other. */
  bytes = new Uint8Array(1 << 16);
  numWords = 0;
  /** Where word `i` ends in `bytes`; it starts where the one before ends. */
  private ends = new Int32Array(1 << FIRST_BITS);
  private hashes = new Int32Array(1 << FIRST_BITS);
  private counts = new Float64Array(1 << FIRST_BITS); // beyond 2^32 in a large corpus
  /** Open addressing: index of the word plus one, or 0. */
  private slots = new Int32Array(2 << FIRST_BITS);
  private scratch = new Uint8Array(1 << 16);

  /** Adds the pieces of one document. Returns its UTF-8 bytes. */
  add(document: string): number {
    if (this.scratch.length < 3 * document.length) this.scratch = new Uint8Array(3 * document.length);
    const bytes = this.scratch;
    const { written } = new TextEncoder().encodeInto(document, bytes);
    for (let start = 0; start < written; ) {
      const end = pieceEnd(bytes, start, written);
      this.addWord(bytes, start, end);
      start = end;
    }
    return written;
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
