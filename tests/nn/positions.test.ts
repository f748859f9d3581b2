import fc from "fast-check";
import { expect, test } from "vitest";
import { sinusoids } from "../../src/nn/positions.ts";
import { parameterRandom } from "../../src/tensor/random.ts";

function table(rows: number, hiddenDim: number, scale: number): Float32Array {
  const values = new Float32Array(rows * hiddenDim);
  sinusoids(hiddenDim, scale)(parameterRandom(1, "positions"), values);
  return values;
}

test("even columns are sines and odd ones cosines of the same angle", () => {
  const [C, t] = [8, 3];
  const row = table(5, C, 1).subarray(t * C, (t + 1) * C);
  for (let i = 0; i < C / 2; i++) {
    const angle = t / 10_000 ** ((2 * i) / C);
    expect(row[2 * i]).toBeCloseTo(Math.sin(angle), 6);
    expect(row[2 * i + 1]).toBeCloseTo(Math.cos(angle), 6);
  }
});

test("each position has the same length, scale * sqrt(C / 2), and no two are equal", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.double({ min: 0.01, max: 2, noNaN: true }), (pairs, scale) => {
      const C = 2 * pairs;
      const values = table(30, C, scale);
      const rows = Array.from({ length: 30 }, (_, t) => values.subarray(t * C, (t + 1) * C));
      for (const row of rows) {
        const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
        expect(length / (scale * Math.sqrt(pairs))).toBeCloseTo(1, 5);
      }
      expect(new Set(rows.map((row) => row.join())).size).toBe(30);
    }),
  );
});
