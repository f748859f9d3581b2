// Philox4x32-10: random numbers from a counter (Salmon, Moraes, Dror & Shaw 2011, "Parallel Random Numbers: As Easy
// as 1, 2, 3"). No state: the same key and counter give the same numbers on every device, so resume is exact.

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** High and low 32 bits of the 64-bit product of two 32-bit unsigned integers. */
function highProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = aLow * bLow;
  const middle1 = aHigh * bLow + (low >>> 16);
  const middle2 = aLow * bHigh + (middle1 & 0xffff);
  return (aHigh * bHigh + Math.floor(middle1 / 0x10000) + Math.floor(middle2 / 0x10000)) >>> 0;
}

/** Four uint32 values for `counter` (c0..c3) under `key` (k0, k1), written to `out[0..3]`. */
export function philox(
  out: Uint32Array,
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
): Uint32Array {
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = highProduct(MULTIPLIER_0, c0 >>> 0);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = highProduct(MULTIPLIER_1, c2 >>> 0);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
  return out;
}

/**
 * What a stream of numbers is for. The pair (seed, purpose) is the key; counters are (index, step, layer, 0).
 * The numbers are part of every result: append, never renumber.
 */
export const PURPOSE = {
  init: 1,
  window: 2,
  dropout: 3,
  bootstrap: 4,
  sample: 5,
  split: 6,
  shuffle: 7,
  retry: 8,
  source: 9,
  minhash: 10,
} as const;

/** A stateless stream of random numbers: draw by position. */
export class CounterRandom {
  private readonly block = new Uint32Array(4);
  /** The block of counters that `block` holds: four neighbouring positions cost one. */
  private held = -1;

  constructor(
    readonly seed: number,
    readonly purpose: number,
    /** Two further counter words, e.g. the step and the layer. */
    readonly step = 0,
    readonly layer = 0,
  ) {}

  /** Uniform uint32 at position `index` (0 <= index < 2^34). */
  uint32(index: number): number {
    const block = Math.floor(index / 4);
    if (block !== this.held) {
      philox(this.block, block >>> 0, this.step >>> 0, this.layer >>> 0, 0, this.seed >>> 0, this.purpose);
      this.held = block;
    }
    return this.block[index % 4]!;
  }

  /** Uniform in [0, 1) with 32 bits. */
  uniform(index: number): number {
    return this.uint32(index) / 4294967296;
  }

  /** Uniform integer in [0, bound), bound <= 2^32; the bias is below bound / 2^53. */
  integer(index: number, bound: number): number {
    const high = this.uint32(index * 2);
    const low = this.uint32(index * 2 + 1);
    return Math.floor(((high * 2097152 + (low >>> 11)) / 9007199254740992) * bound);
  }

  /** Standard normal by Box & Muller 1958; position `index` uses uniforms 2*index and 2*index + 1. */
  normal(index: number): number {
    const radius = Math.sqrt(-2 * Math.log((this.uint32(index * 2) + 1) / 4294967296));
    return radius * Math.cos(2 * Math.PI * this.uniform(index * 2 + 1));
  }
}
