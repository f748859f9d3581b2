// A set of SHA-256 digests for millions of documents: 16 bytes each in an open-addressing table, where a Set of
// strings would take over 100. Half of the digest is kept: two of 10^7 texts meet with probability 2^-82.

const WORDS = 4;

export class DigestSet {
  private slots = new Uint32Array(1024 * WORDS);
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Adds the digest; false when it was there. `hash` has at least 16 bytes. */
  add(hash: Buffer): boolean {
    if (this.count * 4 * WORDS >= this.slots.length * 3) this.grow();
    const added = insert(
      this.slots,
      hash.readUInt32LE(0) | 1, // never zero, so that zero marks a free slot
      hash.readUInt32LE(4),
      hash.readUInt32LE(8),
      hash.readUInt32LE(12),
    );
    if (added) this.count++;
    return added;
  }

  private grow(): void {
    const old = this.slots;
    this.slots = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += WORDS) {
      if (old[at] !== 0) insert(this.slots, old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!);
    }
  }
}

function insert(slots: Uint32Array, a: number, b: number, c: number, d: number): boolean {
  a >>>= 0;
  const mask = slots.length / WORDS - 1;
  for (let slot = b & mask; ; slot = (slot + 1) & mask) {
    const at = slot * WORDS;
    if (slots[at] === 0) {
      slots[at] = a;
      slots[at + 1] = b;
      slots[at + 2] = c;
      slots[at + 3] = d;
      return true;
    }
    if (slots[at] === a && slots[at + 1] === b && slots[at + 2] === c && slots[at + 3] === d) return false;
  }
}
