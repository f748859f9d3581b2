import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, compareUtf8 } from "../../src/util/canonical-json.ts";

describe("canonicalJson", () => {
  test("is blind to the order of keys", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse());
        expect(canonicalJson(reversed)).toBe(canonicalJson(value));
      }),
    );
  });

  test("reads back as the same value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: "grapheme" }), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test("sorts keys by UTF-8 bytes, not by UTF-16 units", () => {
    expect(canonicalJson({ "\u{1F600}": 1, "\uFFFD": 2 })).toBe('{"\uFFFD":2,"\u{1F600}":1}');
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (a, b) => {
        fc.pre(a.isWellFormed() && b.isWellFormed());
        expect(Math.sign(compareUtf8(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
      }),
    );
  });

  test("leaves out undefined members and refuses what JSON cannot say", () => {
    expect(canonicalJson({ a: undefined, b: -0 })).toBe('{"b":0}');
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1n, () => 0, "\uD800", [undefined]]) {
      expect(() => canonicalJson(value)).toThrow(TypeError);
    }
  });
});
