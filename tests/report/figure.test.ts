import fc from "fast-check";
import { expect, test } from "vitest";
import { spreadLabels } from "../../src/report/figure.ts";

test("labels that stand apart stay where they are", () => {
  expect(spreadLabels([1, 5, 9], 2, [0, 10])).toEqual([1, 5, 9]);
});

test("labels are moved apart, keep their order, and stay inside where there is room", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 10, noNaN: true }), { minLength: 1, maxLength: 8 }), (values) => {
      const placed = spreadLabels(values, 1, [0, 10]);
      const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]! || a - b);
      for (let i = 1; i < order.length; i++) {
        expect(placed[order[i]!]! - placed[order[i - 1]!]!).toBeGreaterThanOrEqual(1 - 1e-9);
      }
      for (const place of placed) {
        expect(place).toBeGreaterThanOrEqual(-1e-9);
        expect(place).toBeLessThanOrEqual(10 + 1e-9);
      }
    }),
  );
});
