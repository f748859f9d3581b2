import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CounterRandom, PURPOSE, philox } from "../../src/util/philox.ts";

const hex = (values: Uint32Array) => [...values].map((value) => value.toString(16).padStart(8, "0")).join(" ");

describe("philox4x32-10", () => {
  // The known-answer vectors that Salmon et al. publish with Random123.
  test.each([
    ["zeros", [0, 0, 0, 0, 0, 0], "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
    ["ones", Array(6).fill(0xffffffff), "408f276d 41c83b0e a20bc7c6 6d5451fd"],
    [
      "pi",
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0],
      "d16cfe09 94fdcceb 5001e420 24126ea1",
    ],
  ])("gives the published numbers for %s", (_name, [c0, c1, c2, c3, k0, k1], expected) => {
    expect(hex(philox(new Uint32Array(4), c0!, c1!, c2!, c3!, k0!, k1!))).toBe(expected);
  });
});

describe("CounterRandom", () => {
  test("draws the same number at a position whatever was drawn before", () => {
    fc.assert(
      fc.property(fc.nat(), fc.array(fc.nat(10_000), { minLength: 1 }), (seed, positions) => {
        const random = new CounterRandom(seed, PURPOSE.window);
        const inOrder = positions.map((index) => random.uint32(index));
        const reversed = [...positions].reverse().map((index) => new CounterRandom(seed, PURPOSE.window).uint32(index));
        expect(inOrder).toEqual(reversed.reverse());
      }),
    );
  });

  test("keeps integers below their bound and uniforms in [0, 1)", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(1e6), fc.integer({ min: 1, max: 0xffffffff }), (seed, index, bound) => {
        const random = new CounterRandom(seed, PURPOSE.shuffle);
        const integer = random.integer(index, bound);
        expect(Number.isInteger(integer) && integer >= 0 && integer < bound).toBe(true);
        expect(random.uniform(index)).toBeLessThan(1);
      }),
    );
  });

  test("has normals with mean 0 and variance 1", () => {
    const random = new CounterRandom(7, PURPOSE.init);
    const draws = Array.from({ length: 20_000 }, (_, index) => random.normal(index));
    const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length;
    const variance = draws.reduce((sum, x) => sum + x * x, 0) / draws.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.04);
  });
});
