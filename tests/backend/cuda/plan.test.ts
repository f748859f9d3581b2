import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type Lifetime, planMemory } from "../../../src/backend/cuda/plan.ts";

const lifetimes = fc.array(
  fc
    .record({ bytes: fc.nat(100_000), first: fc.nat(60), span: fc.nat(20) })
    .map(({ bytes, first, span }): Lifetime => ({ bytes, first, last: first + span })),
  { maxLength: 60 },
);

const aligned = (bytes: number) => Math.ceil(bytes / 256) * 256;
const together = (a: Lifetime, b: Lifetime) => a.first <= b.last && b.first <= a.last;

test("no two buffers that are in use at the same time share a byte", () => {
  fc.assert(
    fc.property(lifetimes, (list) => {
      const { offsets } = planMemory(list);
      for (const [i, a] of list.entries()) {
        for (const [j, b] of list.entries()) {
          if (i >= j || !together(a, b)) continue;
          if (a.bytes === 0 || b.bytes === 0) continue;
          const apart = offsets[i]! + a.bytes <= offsets[j]! || offsets[j]! + b.bytes <= offsets[i]!;
          expect(apart).toBe(true);
        }
      }
    }),
  );
});

test("every buffer lies whole in the arena at an aligned offset, and the arena holds what is in use at once", () => {
  fc.assert(
    fc.property(lifetimes, (list) => {
      const { offsets, bytes } = planMemory(list);
      for (const [i, offset] of offsets.entries()) {
        expect(offset % 256).toBe(0);
        expect(offset + list[i]!.bytes).toBeLessThanOrEqual(bytes);
      }
      const atOnce = (time: number) =>
        list
          .filter(({ first, last }) => first <= time && time <= last)
          .reduce((sum, one) => sum + aligned(one.bytes), 0);
      const most = Math.max(0, ...list.map(({ first }) => atOnce(first)));
      expect(bytes).toBeGreaterThanOrEqual(most);
      expect(bytes).toBeLessThanOrEqual(list.reduce((sum, one) => sum + aligned(one.bytes), 0));
    }),
  );
});

test("the same lifetimes give the same plan", () => {
  fc.assert(
    fc.property(lifetimes, (list) => {
      expect(planMemory(list)).toEqual(planMemory([...list]));
    }),
  );
});

test("a chain of buffers, each made from the one before, needs room for two", () => {
  const chain = Array.from({ length: 50 }, (_, i): Lifetime => ({ bytes: 1024, first: i, last: i + 1 }));
  expect(planMemory(chain).bytes).toBe(2048);
});

test("a forward and a backward pass take the memory of all activations and little more", () => {
  const layers = 12;
  const activations = Array.from(
    { length: layers },
    (_, i): Lifetime => ({ bytes: 4096, first: i, last: 2 * layers - i }),
  );
  const gradients = Array.from({ length: layers }, (_, i): Lifetime => {
    const at = 2 * layers - i;
    return { bytes: 4096, first: at - 1, last: at };
  });
  expect(planMemory([...activations, ...gradients]).bytes).toBeLessThanOrEqual((layers + 2) * 4096);
});
