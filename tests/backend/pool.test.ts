// The thread pool as a user meets it: more threads than processors, and what happens after close.

import { expect, test } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { usableIsas } from "../../src/backend/cpu/build.ts";
import { openCpuVariants } from "./devices.ts";

const [crowded] = await openCpuVariants(usableIsas().slice(0, 1), [33]);
const [pair, third] = await openCpuVariants(usableIsas().slice(0, 1), [2, 2]);

function smallStep(backend: Backend): number {
  const length = 40_000;
  const x = backend.allocate("f32", length);
  const y = backend.allocate("f32", length);
  backend.kernels.fill({ y: x, value: 1, length });
  for (let i = 0; i < 300; i++) {
    backend.kernels.add({ y, a: x, b: x, length });
    backend.kernels.scale({ y: x, x: y, factor: 0.5, length });
  }
  backend.kernels.sum({ out: y, index: 0, x, length });
  return backend.read(y, 0, 1)[0]!;
}

test.skipIf(!crowded)("33 threads on a few processors finish and agree", () => {
  expect(smallStep(crowded!.backend)).toBe(40_000);
  crowded!.backend.close();
});

test.skipIf(!pair)("a closed device says so, and closing twice is harmless", () => {
  const { backend } = pair!;
  expect(smallStep(backend)).toBe(40_000);
  const x = backend.allocate("f32", 4);
  backend.close();
  backend.close();
  expect(() => backend.kernels.add({ y: x, a: x, b: x, length: 4 })).toThrow(/cpu device was closed/);
});

test.skipIf(!third)("scratch memory is counted", () => {
  const { backend } = third!;
  const [N, C, V] = [64, 32, 1000];
  const [losses, x, w] = [backend.allocate("f32", N), backend.allocate("f32", N * C), backend.allocate("f32", V * C)];
  const targets = backend.allocate("i32", N);
  const before = backend.memory().allocatedBytes;
  backend.kernels.headLoss({ losses, x, w, targets, N, C, V });
  expect(backend.memory().allocatedBytes - before).toBeGreaterThan(N * V * 4);
  backend.close();
});
