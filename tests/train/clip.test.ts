import { expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { clipScale, globalNorm } from "../../src/train/clip.ts";

test("the global norm is over all gradients together", () => {
  const backend = createReferenceBackend();
  const gradients = [[3], [0, 4], [12]].map((values) => {
    const buffer = backend.allocate("f32", values.length);
    backend.write(buffer, Float32Array.from(values));
    return buffer;
  });
  expect(globalNorm(backend, gradients, backend.allocate("f32", 3))).toBe(13);
});

test("gradients within the bound are left alone and larger ones are scaled onto it", () => {
  expect(clipScale(0.5, 1)).toBe(1);
  expect(clipScale(4, 1) * 4).toBeCloseTo(1, 5);
});
