import fc from "fast-check";
import { expect, test } from "vitest";
import { capitalize, codePoints, strip, trimEnd } from "../../src/eval/python-text.ts";

test("strip removes what Python calls white space, and a byte order mark is none", () => {
  expect(strip("\u001c\u0085 \t\n a b \u00a0\u3000")).toBe("a b");
  expect(strip("\ufeffa\ufeff")).toBe("\ufeffa\ufeff");
  expect(trimEnd("  a \n")).toBe("  a");
});

test("capitalize raises the first character and lowers all others", () => {
  expect(capitalize("the man")).toBe("The man");
  expect(capitalize("THE Man, IBM")).toBe("The man, ibm");
  expect(capitalize("")).toBe("");
  expect(capitalize("1st PLACE")).toBe("1st place");
  expect(capitalize("ßa")).toBe("Ssa");
  expect(capitalize("éCOLE")).toBe("École");
});

test("codePoints counts as Python's len does", () => {
  expect(codePoints("naïve 😀")).toBe(7);
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => codePoints(text) === [...text].length));
});
