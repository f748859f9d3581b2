import fc from "fast-check";
import { expect, test } from "vitest";
import { tokenArray } from "../../src/train/token-array.ts";

test("a window is the slice of the ids that it names, or a RangeError", () => {
  const ids = fc.array(fc.nat(65_535), { maxLength: 40 });
  fc.assert(
    fc.property(ids, fc.integer({ min: -3, max: 45 }), fc.nat(45), (all, start, length) => {
      const source = tokenArray(all);
      expect(source.tokens).toBe(all.length);
      if (start < 0 || start + length > all.length) {
        expect(() => source.readWindow(start, length)).toThrow(RangeError);
      } else {
        const out = new Int32Array(length);
        expect(source.readWindow(start, length, out)).toBe(out);
        expect([...out]).toEqual(all.slice(start, start + length));
      }
    }),
  );
});
