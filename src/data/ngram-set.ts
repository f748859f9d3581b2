// A set of 64-bit n-gram hashes with a number beside each: open addressing in typed arrays, 12 bytes a slot. Millions of
// n-grams against billions of looked-up ones meet by chance about once in a thousand such runs.

export class NgramSet {
  size = 0;
  private first = new Uint32Array(1024);
  private second = new Uint32Array(1024);
  /** Value + 1; 0 is free. */
  private values = new Uint32Array(1024);

  /** The value that the n-gram has; `value` where it is new. */
  add(first: number, second: number, value: number): number {
    if (this.size * 2 >= this.values.length) this.grow();
    const slot = this.find(first, second);
    if (this.values[slot] !== 0) return this.values[slot]! - 1;
    this.first[slot] = first;
    this.second[slot] = second;
    this.values[slot] = value + 1;
    this.size++;
    return value;
  }

  /** The n-gram's value, or -1. */
  get(first: number, second: number): number {
    return this.values[this.find(first, second)]! - 1;
  }

  /** Where the n-gram is, or the free slot where it would be. */
  private find(first: number, second: number): number {
    const mask = this.values.length - 1;
    let slot = first & mask;
    while (this.values[slot] !== 0 && (this.first[slot] !== first || this.second[slot] !== second)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  private grow(): void {
    const { first, second, values } = this;
    this.first = new Uint32Array(values.length * 2);
    this.second = new Uint32Array(values.length * 2);
    this.values = new Uint32Array(values.length * 2);
    this.size = 0;
    for (const [slot, value] of values.entries()) if (value !== 0) this.add(first[slot]!, second[slot]!, value - 1);
  }
}
