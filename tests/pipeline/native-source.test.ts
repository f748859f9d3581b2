import assert from "node:assert/strict";
import fc from "fast-check";
import { test } from "vitest";
import { normaliseNativeSource } from "../../src/pipeline/native-source.ts";

test("comments and layout are gone, literals and preprocessor lines stay", () => {
  const source = [
    '#include "a.h" // the header',
    "#define LONG \\",
    "  1",
    "",
    "/* two",
    "   lines */",
    'const char *s = "a // b  /* c */";   // and a "quote"',
    "char c = '\"';\t/* x */ int   y;",
  ].join("\n");
  const expected = [
    '#include "a.h"',
    "#define LONG \\",
    "1",
    'const char *s = "a // b  /* c */";',
    "char c = '\"'; int y;",
  ];
  assert.equal(normaliseNativeSource(source), expected.join("\n"));
});

test("a raw string is kept whole", () => {
  const source = 'auto s = R"x(a // b "\n  c)x"; // end';
  assert.equal(normaliseNativeSource(source), 'auto s = R"x(a // b "\n  c)x";');
});

test("a comment or blanks between tokens never change the result", () => {
  const token = fc.constantFrom("int", "x", "=", "1", ";", "{", "}", '"s  t"', "'c'", "+", "(", ")");
  const gap = fc.constantFrom(" ", "  ", "\t", " /* c */ ", " /* 'x */ ", " /* // */ ");
  fc.assert(
    fc.property(fc.array(fc.tuple(token, gap), { minLength: 1, maxLength: 30 }), (pairs) => {
      const plain = pairs.map(([word]) => word).join(" ");
      const decorated = pairs.map(([word, blank]) => word + blank).join("");
      assert.equal(normaliseNativeSource(decorated), plain);
    }),
  );
});

test("what is normalised stays as it is", () => {
  fc.assert(
    fc.property(fc.string(), (source) => {
      const once = normaliseNativeSource(source);
      assert.equal(normaliseNativeSource(once), once);
    }),
  );
});
