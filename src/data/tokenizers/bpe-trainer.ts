// Learning merges from counts of words (Sennrich, Haddow & Birch 2016, algorithm 1): again and again the most frequent
// pair becomes one symbol. The merges are those of Hugging Face's `BpeTrainer` with its default minimum frequency, ties
// included: of equally frequent pairs the one with the smaller left id goes first, then the smaller right id, where
// byte symbols are numbered in the order of their printable characters. Each merge depends on the earlier ones alone,
// so a training to a larger vocabulary starts with the merges of every smaller one.

import { GPT2_BYTE_ORDER } from "./byte-symbols.ts";
import { NONE, PairChain } from "./pair-chain.ts";
import { PairTable } from "./pair-table.ts";
import { NUM_BYTES } from "./vocabulary.ts";
import type { WordCounts } from "./word-counts.ts";

export class BpeTrainer {
  /** Left and right ids of the merges so far, one after the other. */
  readonly merges: number[] = [];
  /** Pairs fused so far, over distinct words: the measure of the work done. */
  numFused = 0;

  private readonly chain = new PairChain(1 << 12);
  /** How often the word of each symbol occurs. */
  private readonly weights: Float64Array;
  private readonly pairs = new PairTable(1 << 12);
  // By pair, in the order in which pairs were first seen:
  private readonly left: number[] = [];
  private readonly right: number[] = [];
  private readonly counts: number[] = [];
  /** The count under which the pair stands in the heap, which is never below the true one. */
  private readonly queuedCounts: number[] = [];
  /** Max-heap of pairs. */
  private readonly heap: number[] = [];

  constructor(words: WordCounts) {
    const numSymbols = words.numWords === 0 ? 0 : words.endOf(words.numWords - 1);
    this.weights = new Float64Array(numSymbols);
    this.layOut(words, numSymbols);
    for (let pair = 0; pair < this.counts.length; pair++) this.push(pair);
  }

  /** Learns one more merge. Returns false when no pair is left: every word is one symbol. */
  mergeNext(): boolean {
    const pair = this.popMostFrequent();
    if (pair === NONE) return false;
    const { chain, counts } = this;
    const merged = NUM_BYTES + this.merges.length / 2;
    this.merges.push(this.left[pair], this.right[pair]);
    const firstNewPair = counts.length;
    for (let place = chain.first[pair]; place !== NONE; place = chain.first[pair]) {
      const weight = this.weights[place];
      const before = chain.previous[place];
      const right = chain.next[place];
      if (before !== NONE) counts[chain.pairOf[before]] -= weight;
      if (chain.pairOf[right] !== NONE) counts[chain.pairOf[right]] -= weight;
      chain.fuse(place, merged);
      if (before !== NONE) this.count(before);
      if (chain.next[place] !== NONE) this.count(place);
      this.numFused++;
    }
    for (let made = firstNewPair; made < counts.length; made++) this.push(made);
    return true;
  }

  private layOut(words: WordCounts, numSymbols: number): void {
    const { chain } = this;
    const idOfByte = new Int32Array(NUM_BYTES);
    GPT2_BYTE_ORDER.forEach((byte, id) => {
      idOfByte[byte] = id;
    });
    chain.reset(numSymbols);
    for (let word = 0; word < words.numWords; word++) {
      const start = words.startOf(word);
      const end = words.endOf(word);
      for (let i = start; i < end; i++) {
        chain.symbol[i] = idOfByte[words.bytes[i]];
        chain.previous[i] = i > start ? i - 1 : NONE;
        chain.next[i] = i + 1 < end ? i + 1 : NONE;
        this.weights[i] = words.countOf(word);
      }
      for (let i = start; i + 1 < end; i++) this.count(i);
    }
  }

  /** Enters the pair at a place, which is new or has just changed. */
  private count(place: number): void {
    const left = this.chain.symbol[place];
    const right = this.chain.symbol[this.chain.next[place]];
    let pair = this.pairs.get(left, right);
    if (pair < 0) {
      pair = this.counts.length;
      this.pairs.set(left, right, pair);
      this.chain.reservePair(pair);
      this.left.push(left);
      this.right.push(right);
      this.counts.push(0);
      this.queuedCounts.push(0);
    }
    this.counts[pair] += this.weights[place];
    this.chain.attach(place, pair);
  }

  /**
   * Takes the first pair off the heap, or NONE. Counts of pairs in the heap only fall (a pair gains places only while
   * its younger symbol is made), so a pair that fell is put back where it belongs when it comes up.
   */
  private popMostFrequent(): number {
    const { heap, counts, queuedCounts } = this;
    while (heap.length > 0) {
      const pair = heap[0];
      const isFirst = queuedCounts[pair] === counts[pair];
      if (!isFirst && counts[pair] > 0) {
        queuedCounts[pair] = counts[pair];
        this.sink(pair);
        continue;
      }
      const lastPair = heap.pop()!;
      if (heap.length > 0) this.sink(lastPair);
      if (isFirst && counts[pair] > 0) return pair;
    }
    return NONE;
  }

  private push(pair: number): void {
    const { heap } = this;
    this.queuedCounts[pair] = this.counts[pair];
    let at = heap.length;
    heap.push(pair);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.isBefore(pair, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = pair;
  }

  /** Puts a pair in the place of the heap's first and moves it down to where it belongs. */
  private sink(pair: number): void {
    const { heap } = this;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && this.isBefore(heap[child + 1], heap[child])) child++;
      if (!this.isBefore(heap[child], pair)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = pair;
  }

  private isBefore(a: number, b: number): boolean {
    const difference = this.queuedCounts[a] - this.queuedCounts[b];
    if (difference !== 0) return difference > 0;
    if (this.left[a] !== this.left[b]) return this.left[a] < this.left[b];
    return this.right[a] < this.right[b];
  }
}
