// MinHash signatures of texts over word shingles (Broder 1997, "On the resemblance and containment of documents"): the
// share of places where two signatures agree estimates the Jaccard similarity of the sets of shingles. One byte is kept
// of each minimum (b-bit minwise hashing, Li & König 2010), so two different minima agree by chance once in 256.

import { CounterRandom, PURPOSE } from "../util/philox.ts";
import { mix32, WordHashes } from "./words.ts";

const CHANCE = 1 / 256;

export class MinHasher {
  private readonly words = new WordHashes();
  // Signed, so that the inner loop stays within V8's small integers.
  private readonly multipliers: Int32Array;
  private readonly summands: Int32Array;
  private readonly minima: Int32Array;

  /** `length` values a signature, over shingles of `shingleWords` words. */
  constructor(
    readonly length: number,
    private readonly shingleWords: number,
  ) {
    const random = new CounterRandom(0, PURPOSE.minhash);
    this.multipliers = Int32Array.from({ length }, (_, index) => random.uint32(2 * index) | 1);
    this.summands = Int32Array.from({ length }, (_, index) => random.uint32(2 * index + 1));
    this.minima = new Int32Array(length);
  }

  /**
   * Writes the signature of `text` to out[at..at+length-1]. A text shorter than a shingle is one shingle; a text without
   * words has none, and false is returned.
   */
  sign(text: string, out: Uint8Array, at = 0): boolean {
    const { words, multipliers, summands, minima, length } = this;
    const count = words.read(text);
    if (count === 0) return false;
    const size = Math.min(count, this.shingleWords);
    minima.fill(0x7fffffff);
    for (let word = 0; word + size <= count; word++) {
      words.ngram(word, size);
      const shingle = words.first | 0;
      for (let index = 0; index < length; index++) {
        // An odd multiplier makes a permutation of all 32-bit values (Bohman, Cooper & Frieze 2000).
        const value = (Math.imul(shingle, multipliers[index]!) + summands[index]!) | 0;
        if (value < minima[index]!) minima[index] = value;
      }
    }
    for (let index = 0; index < length; index++) out[at + index] = mix32(minima[index]!) & 0xff;
    return true;
  }
}

/** The hashes of a text's shingles, as `MinHasher` has them. */
export function shingleSet(words: WordHashes, text: string, shingleWords: number): Set<number> {
  const count = words.read(text);
  const size = Math.min(count, shingleWords);
  const shingles = new Set<number>();
  for (let word = 0; word + size <= count && size > 0; word++) {
    words.ngram(word, size);
    shingles.add(words.first);
  }
  return shingles;
}

/** Shared members over all members of two sets; 0 for two empty ones. */
export function jaccardSimilarity(a: ReadonlySet<number>, b: ReadonlySet<number>): number {
  let shared = 0;
  for (const member of a) if (b.has(member)) shared++;
  return shared === 0 ? 0 : shared / (a.size + b.size - shared);
}

/** Jaccard similarity that `agreements` of `length` values speak for; unbiased, so it may fall a little below 0. */
export function estimateJaccard(agreements: number, length: number): number {
  return (agreements / length - CHANCE) / (1 - CHANCE);
}
