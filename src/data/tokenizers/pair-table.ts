// A map from pairs of ids to a number by open addressing: what BPE asks more often than anything else.

const EMPTY = -1;
const SLOT = 4; // left, right, value and a word of padding, so that a slot never straddles a cache line

export class PairTable {
  private slots: Int32Array;
  private shift: number;
  private used = 0;

  /** `capacity` is how many pairs are expected; the table grows beyond it. */
  constructor(capacity = 0) {
    const bits = Math.max(8, Math.ceil(Math.log2(2 * capacity + 1)));
    this.slots = new Int32Array(SLOT << bits).fill(EMPTY);
    this.shift = 32 - bits;
  }

  /** The value of a pair, or -1. */
  get(left: number, right: number): number {
    return this.slots[this.find(left, right) + 2];
  }

  /** Sets the value (at least 0) of a pair (both at least 0). */
  set(left: number, right: number, value: number): void {
    const slot = this.find(left, right);
    const isNew = this.slots[slot] === EMPTY;
    this.slots[slot] = left;
    this.slots[slot + 1] = right;
    this.slots[slot + 2] = value;
    if (isNew && ++this.used * SLOT * 2 > this.slots.length) this.grow();
  }

  private find(left: number, right: number): number {
    const slots = this.slots;
    const end = slots.length;
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    let slot = (hash >>> this.shift) * SLOT;
    while (slots[slot] !== EMPTY && (slots[slot] !== left || slots[slot + 1] !== right)) {
      slot += SLOT;
      if (slot === end) slot = 0;
    }
    return slot;
  }

  private grow(): void {
    const old = this.slots;
    this.slots = new Int32Array(old.length * 2).fill(EMPTY);
    this.shift--;
    for (let from = 0; from < old.length; from += SLOT) {
      if (old[from] !== EMPTY) this.slots.set(old.subarray(from, from + SLOT), this.find(old[from], old[from + 1]));
    }
  }
}
