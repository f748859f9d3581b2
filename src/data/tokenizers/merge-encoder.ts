// Byte-pair encoding (Sennrich, Haddow & Birch 2016, section 3.2) of UTF-8 bytes, fast: pieces met before come from a
// cache, short ones are merged in an array, long ones by lists of pairs, in time linear in their bytes.

import { NONE, PairChain } from "./pair-chain.ts";
import { PairTable } from "./pair-table.ts";
import { pieceEnd } from "./pre-tokenizer.ts";
import { NUM_BYTES, type Vocabulary } from "./vocabulary.ts";
import { WordCache } from "./word-cache.ts";

/** What an encoder writes to: any typed array that holds its ids. */
export type IdArray = Uint16Array | Uint32Array;

/** Above this many bytes the array merge, which is quadratic, gives way to lists. Chosen by measurement. */
const SHORT_PIECE_BYTES = 128;
/** Room for this many symbols is kept from piece to piece; a longer piece has its own, freed afterwards. */
const KEPT_SYMBOLS = 1 << 16;
const NO_RANK = 0x7fffffff;

export class MergeEncoder {
  private readonly idOfByte = new Int32Array(NUM_BYTES);
  private readonly pairs: PairTable;
  private readonly cache = new WordCache();
  private readonly piece = new Int32Array(SHORT_PIECE_BYTES);
  private readonly ranks = new Int32Array(SHORT_PIECE_BYTES);
  private readonly chain: PairChain;

  constructor(private readonly vocabulary: Vocabulary) {
    const { byteOfId, merges } = vocabulary;
    byteOfId.forEach((byte, id) => {
      this.idOfByte[byte] = id;
    });
    this.pairs = new PairTable(merges.length / 2);
    for (let i = 0; i < merges.length; i += 2) this.pairs.set(merges[i], merges[i + 1], NUM_BYTES + i / 2);
    this.chain = new PairChain(vocabulary.size);
  }

  /** Writes the ids of `bytes` from `from` to `to` into `out` at `at`, at most one a byte. Returns where they end. */
  encodeInto(bytes: Uint8Array, from: number, to: number, out: IdArray, at: number): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { cache, idOfByte } = this;
    const { slots, ids } = cache;
    let start = from;
    while (start < to) {
      const end = pieceEnd(bytes, start, to);
      const length = end - start;
      if (length === 1) {
        out[at++] = idOfByte[bytes[start]];
      } else if (length > SHORT_PIECE_BYTES) {
        at = this.mergeLong(bytes, start, end, out, at);
      } else {
        const slot = cache.find(bytes, view, start, end);
        const count = slots[slot + 2] >>> 16;
        if (count === 1) {
          out[at++] = slots[slot + 3];
        } else if (count > 1) {
          const first = slots[slot + 3];
          for (let i = first; i < first + count; i++) out[at++] = ids[i];
        } else {
          const merged = this.mergeShort(bytes, start, end);
          for (let i = 0; i < merged; i++) out[at++] = this.piece[i];
          cache.put(slot, bytes, start, end, this.piece, merged);
        }
      }
      start = end;
    }
    return at;
  }

  /** Leaves the ids of a short piece in `piece` and returns how many: merges the lowest rank, leftmost first. */
  private mergeShort(bytes: Uint8Array, from: number, to: number): number {
    const { piece, ranks, idOfByte } = this;
    let count = to - from;
    for (let i = 0; i < count; i++) piece[i] = idOfByte[bytes[from + i]];
    for (let i = 0; i < count - 1; i++) ranks[i] = this.rank(piece[i], piece[i + 1]);
    while (count > 1) {
      let best = NO_RANK;
      let place = 0;
      for (let i = 0; i < count - 1; i++) {
        if (ranks[i] < best) {
          best = ranks[i];
          place = i;
        }
      }
      if (best === NO_RANK) break;
      piece[place] = best;
      count--;
      for (let i = place + 1; i < count; i++) {
        piece[i] = piece[i + 1];
        ranks[i] = ranks[i + 1];
      }
      if (place > 0) ranks[place - 1] = this.rank(piece[place - 1], best);
      if (place < count - 1) ranks[place] = this.rank(best, piece[place + 1]);
    }
    return count;
  }

  private rank(left: number, right: number): number {
    const id = this.pairs.get(left, right);
    return id < 0 ? NO_RANK : id;
  }

  /**
   * Merges by rank instead of by place: a merge only makes pairs of higher rank, so each rank is taken once, with all
   * its places from left to right. A heap holds the ranks that wait.
   */
  private mergeLong(bytes: Uint8Array, from: number, to: number, out: IdArray, at: number): number {
    const length = to - from;
    const chain = length <= KEPT_SYMBOLS ? this.chain : new PairChain(this.vocabulary.size);
    const waiting: number[] = [];
    const enlist = (place: number) => {
      const pair = this.pairs.get(chain.symbol[place], chain.symbol[chain.next[place]]);
      if (pair < 0) return;
      if (chain.first[pair] === NONE) pushRank(waiting, pair);
      chain.attach(place, pair);
    };

    chain.reset(length);
    for (let i = 0; i < length; i++) {
      chain.symbol[i] = this.idOfByte[bytes[from + i]];
      chain.previous[i] = i - 1; // NONE for the first
      chain.next[i] = i + 1 < length ? i + 1 : NONE;
    }
    for (let i = 0; i + 1 < length; i++) enlist(i);
    while (waiting.length > 0) {
      const rank = popRank(waiting);
      for (let place = chain.first[rank]; place !== NONE; place = chain.first[rank]) {
        chain.fuse(place, rank);
        if (chain.previous[place] !== NONE) enlist(chain.previous[place]);
        if (chain.next[place] !== NONE) enlist(place);
      }
    }
    for (let i = 0; i !== NONE; i = chain.next[i]) out[at++] = chain.symbol[i];
    return at;
  }
}

/** Binary min-heap of ranks. A rank may stand in it twice when its list ran empty and filled again: no harm. */
function pushRank(heap: number[], rank: number): void {
  let at = heap.length;
  heap.push(rank);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (heap[parent] <= rank) break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = rank;
}

function popRank(heap: number[]): number {
  const top = heap[0];
  const rank = heap.pop()!;
  const length = heap.length;
  if (length === 0) return top;
  let at = 0;
  for (let child = 1; child < length; child = 2 * at + 1) {
    if (child + 1 < length && heap[child + 1] < heap[child]) child++;
    if (heap[child] >= rank) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = rank;
  return top;
}
