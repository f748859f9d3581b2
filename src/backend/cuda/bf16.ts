// bfloat16 on the host: the upper half of a float32.

/** Rounds to the nearest, ties to even, as the device does; NaN stays NaN. */
export function toBf16(values: Float32Array, into: Uint16Array): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const hasNoValue = (word & 0x7fffffff) > 0x7f800000;
    into[i] = hasNoValue ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
}

/** Exact. */
export function fromBf16(values: Uint16Array): Float32Array {
  const words = new Uint32Array(values.length);
  for (let i = 0; i < words.length; i++) words[i] = values[i]! << 16;
  return new Float32Array(words.buffer);
}
