// The ids of pieces met before, by open addressing in typed arrays. Text repeats itself: nine pieces of ten are here.
// Memory is bounded: a full cache stays as it is, and further pieces are merged each time they come.

const SLOT_BITS = 19;
const SLOT = 4; // two words of key, `bytes | ids << 16`, and the id or where the ids lie
const MAX_WORDS = Math.floor(0.6 * (1 << SLOT_BITS));
const WORD_BYTES = 1 << 22;
const ID_COUNT = 1 << 21;
const SHORT = 8; // pieces up to this many bytes are their own key

export class WordCache {
  readonly slots = new Int32Array(SLOT << SLOT_BITS);
  readonly ids = new Uint32Array(ID_COUNT);
  private readonly words = new Uint8Array(WORD_BYTES);
  private numWords = 0;
  private numIds = 0;
  private numBytes = 0;
  private key0 = 0;
  private key1 = 0;

  /**
   * The slot of the piece `from` to `to` (at most 65,535 bytes), or the free one where it belongs. `slots[slot + 2]` is 0 when free, else
   * its bytes plus 65,536 times its number of ids; `slots[slot + 3]` is its id, or the place of its ids in `ids`.
   */
  find(bytes: Uint8Array, view: DataView, from: number, to: number): number {
    const length = to - from;
    return length <= SHORT ? this.findShort(bytes, view, from, length) : this.findLong(bytes, view, from, length);
  }

  /** Keeps the ids of a piece in the free slot that the last `find` gave, if there is room. */
  put(slot: number, bytes: Uint8Array, from: number, to: number, ids: Int32Array, count: number): void {
    const length = to - from;
    const hasRoom = this.numBytes + length <= WORD_BYTES && this.numIds + count <= ID_COUNT;
    if (this.numWords === MAX_WORDS || !hasRoom) return;
    const slots = this.slots;
    slots[slot] = this.key0;
    slots[slot + 1] = this.key1;
    slots[slot + 2] = length | (count << 16);
    if (length > SHORT) {
      slots[slot + 1] = this.numBytes;
      this.words.set(bytes.subarray(from, to), this.numBytes);
      this.numBytes += length;
    }
    if (count === 1) {
      slots[slot + 3] = ids[0];
    } else {
      slots[slot + 3] = this.numIds;
      for (let i = 0; i < count; i++) this.ids[this.numIds + i] = ids[i];
      this.numIds += count;
    }
    this.numWords++;
  }

  private findShort(bytes: Uint8Array, view: DataView, from: number, length: number): number {
    let key0 = 0;
    let key1 = 0;
    if (from + SHORT <= view.byteLength) {
      if (length <= 4) {
        key0 = view.getInt32(from, true) & (-1 >>> (32 - 8 * length));
      } else {
        key0 = view.getInt32(from, true);
        key1 = view.getInt32(from + 4, true) & (-1 >>> (64 - 8 * length));
      }
    } else {
      for (let i = 0; i < length; i++) {
        if (i < 4) key0 |= bytes[from + i] << (8 * i);
        else key1 |= bytes[from + i] << (8 * (i - 4));
      }
    }
    this.key0 = key0;
    this.key1 = key1;
    let hash = Math.imul(key0, 0x9e3779b1) ^ Math.imul(key1 ^ Math.imul(length, 0x85ebca6b), 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    const slots = this.slots;
    for (let slot = (hash >>> (32 - SLOT_BITS)) * SLOT; ; slot = (slot + SLOT) & ((SLOT << SLOT_BITS) - 1)) {
      const meta = slots[slot + 2];
      if (meta === 0) return slot;
      if (slots[slot] === key0 && slots[slot + 1] === key1 && (meta & 0xffff) === length) return slot;
    }
  }

  private findLong(bytes: Uint8Array, view: DataView, from: number, length: number): number {
    const to = from + length;
    let key = 0x811c9dc5 | 0;
    let at = from;
    for (; at + 4 <= to; at += 4) key = Math.imul(key ^ view.getInt32(at, true), 0x9e3779b1) ^ (key >>> 15);
    for (; at < to; at++) key = Math.imul(key ^ bytes[at], 0x01000193);
    this.key0 = key;
    const slots = this.slots;
    const hash = Math.imul(key ^ (key >>> 16), 0x9e3779b1);
    for (let slot = (hash >>> (32 - SLOT_BITS)) * SLOT; ; slot = (slot + SLOT) & ((SLOT << SLOT_BITS) - 1)) {
      const meta = slots[slot + 2];
      if (meta === 0) return slot;
      if (slots[slot] === key && (meta & 0xffff) === length && this.isWord(slots[slot + 1], bytes, from, length)) {
        return slot;
      }
    }
  }

  private isWord(word: number, bytes: Uint8Array, from: number, length: number): boolean {
    for (let i = 0; i < length; i++) if (this.words[word + i] !== bytes[from + i]) return false;
    return true;
  }
}
