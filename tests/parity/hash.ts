// The integer hash that PyTorch scripts and our tests share, so that golden files need not hold weights.

import type { Backend } from "../../src/backend/backend.ts";
import type { Module } from "../../src/nn/module.ts";

/** A mixer of 32-bit integers, the same in any language with 32-bit products. */
export function hash32(value: number): number {
  let x = value >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  x ^= x >>> 16;
  return x >>> 0;
}

/** 2 u - 1 for element i of stream `key`, u in [0, 1). */
export function hashUniform(i: number, key: number): number {
  return 2 * (hash32((i + key) >>> 0) / 2 ** 32) - 1;
}

/** Overwrite an allocated model's weights by `rule(parameter number, name, element)`. */
export function fillWeights(
  model: Module,
  backend: Backend,
  rule: (t: number, name: string, i: number) => number,
): void {
  for (const [t, [name, parameter]] of model.parameters().entries()) {
    backend.write(
      parameter.value,
      Float32Array.from({ length: parameter.length }, (_, i) => rule(t, name, i)),
    );
  }
}
