// The head in bf16 on more words, columns and rows than it works on at a time: kernel-cases.ts draws smaller ones.

import { afterAll, describe, expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { CounterRandom } from "../../src/util/philox.ts";
import { openCpuVariants, testIsas } from "./devices.ts";
import { type KernelCase, runCase } from "./kernel-cases.ts";

const reference = createReferenceBackend();
/** How far eight bits may lead from float32, in units of the largest value. */
const NEAR = 0.025;
const THREADS = [1, 3];
const classes = [
  { name: "avx512bf16", devices: await openCpuVariants(["avx512bf16"], THREADS, "bf16") },
  { name: "emulated", devices: await openCpuVariants(testIsas(), THREADS, "bf16") },
];
afterAll(() => {
  for (const { backend } of classes.flatMap(({ devices }) => devices)) backend.close();
});

function head(N: number, C: number, V: number): KernelCase {
  const random = new CounterRandom(5, 3);
  let index = 0;
  const reals = (length: number) => Float32Array.from({ length }, () => random.normal(index++) / 2);
  const targets = Int32Array.from({ length: N }, (_, n) => (n % 7 === 3 ? -1 : (n * 389) % V));
  const tensors = { losses: reals(N), x: reals(N * C), w: reals(V * C), dx: reals(N * C), dw: reals(V * C) };
  return {
    kernel: "headLoss",
    buffers: { ...tensors, targets },
    outputs: ["losses", "dx", "dw"],
    scalars: { N, C, V, gradientScale: 1 },
  };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Int32Array) =>
  Buffer.from(buffer, byteOffset, byteLength);

function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [largest, worst] = [1, 0];
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    worst = Math.max(worst, Math.abs(actual[i]! - expected[i]!)); // NaN stays
  }
  return worst / largest;
}

const cases = [
  { label: "three blocks of words and three strips of columns", wide: head(33, 270, 1030) },
  { label: "two chunks of rows", wide: head(530, 20, 515) },
].map(({ label, wide }) => ({ label, wide, expected: runCase(reference, wide) }));

describe.each(classes)("bf16, $name", ({ devices }) => {
  test.skipIf(devices.length === 0).each(cases)(
    "$label: near the reference, with one set of bits",
    ({ wide, expected }) => {
      const [first, ...rest] = devices.map(({ backend }) => runCase(backend, wide));
      for (const [name, values] of Object.entries(expected)) {
        expect(distance(first![name]!, values), name).toBeLessThan(NEAR);
        for (const outputs of rest) expect(bytesOf(outputs[name]!).equals(bytesOf(first![name]!)), name).toBe(true);
      }
    },
  );
});
