// A row of symbols in which neighbours are fused, with a list of all places of each pair. Both the trainer and the
// encoder of long pieces work on it, and both rest on one fact: all places of a pair come into being during one pass,
// the one that makes its younger symbol, from left to right. So a list is always in the order of the text.

/** The end of a list, or no neighbour. */
export const NONE = -1;

export class PairChain {
  /** Number of symbols in use. */
  length = 0;
  symbol = new Int32Array(0);
  /** Neighbours of a symbol, NONE at the ends of a piece. */
  next = new Int32Array(0);
  previous = new Int32Array(0);
  /** The list that holds the place, or NONE. A place is the position of the left symbol of a pair. */
  pairOf = new Int32Array(0);
  /** The first place of each pair, or NONE. */
  first: Int32Array;

  private last: Int32Array;
  private nextPlace = new Int32Array(0);
  private previousPlace = new Int32Array(0);

  constructor(numPairs: number) {
    this.first = new Int32Array(numPairs).fill(NONE);
    this.last = new Int32Array(numPairs).fill(NONE);
  }

  /** Makes room for `length` symbols, whose contents the caller then sets. All lists must be empty. */
  reset(length: number): void {
    this.length = length;
    if (length > this.symbol.length) {
      this.symbol = new Int32Array(length);
      this.next = new Int32Array(length);
      this.previous = new Int32Array(length);
      this.pairOf = new Int32Array(length);
      this.nextPlace = new Int32Array(length);
      this.previousPlace = new Int32Array(length);
    }
    this.pairOf.fill(NONE, 0, length);
  }

  /** Makes room for pairs up to and with `pair`. */
  reservePair(pair: number): void {
    if (pair < this.first.length) return;
    const length = Math.max(2 * this.first.length, pair + 1);
    const longer = (old: Int32Array) => {
      const copy = new Int32Array(length).fill(NONE, old.length);
      copy.set(old);
      return copy;
    };
    this.first = longer(this.first);
    this.last = longer(this.last);
  }

  /** Puts a place at the end of a pair's list. */
  attach(place: number, pair: number): void {
    const last = this.last[pair];
    this.pairOf[place] = pair;
    this.previousPlace[place] = last;
    this.nextPlace[place] = NONE;
    if (last === NONE) this.first[pair] = place;
    else this.nextPlace[last] = place;
    this.last[pair] = place;
  }

  /** Takes a place out of the list that it is in, if any. */
  detach(place: number): void {
    const pair = this.pairOf[place];
    if (pair === NONE) return;
    const next = this.nextPlace[place];
    const previous = this.previousPlace[place];
    if (previous === NONE) this.first[pair] = next;
    else this.nextPlace[previous] = next;
    if (next === NONE) this.last[pair] = previous;
    else this.previousPlace[next] = previous;
    this.pairOf[place] = NONE;
  }

  /** Turns the pair at `place` into one symbol. The pairs on both sides of it leave their lists and await new ones. */
  fuse(place: number, symbol: number): void {
    const right = this.next[place];
    const left = this.previous[place];
    const beyond = this.next[right];
    this.detach(place);
    this.detach(right);
    if (left !== NONE) this.detach(left);
    this.symbol[place] = symbol;
    this.next[place] = beyond;
    if (beyond !== NONE) this.previous[beyond] = place;
  }
}
