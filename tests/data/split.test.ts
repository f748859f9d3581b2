import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { splitOf, splitSchema } from "../../src/data/split.ts";

const rule = splitSchema.parse({});
const hashOf = (text: string) => createHash("sha256").update(text).digest();

test("the rule of known texts never changes", () => {
  const texts = Array.from({ length: 60 }, (_, index) => `story ${index}`);
  const held = texts.map((text) => `${text}: ${splitOf(hashOf(text), rule)}`).filter((line) => !line.endsWith("train"));
  expect(held).toMatchInlineSnapshot(`
    [
      "story 11: validation",
      "story 17: test",
      "story 18: test",
      "story 26: test",
      "story 56: validation",
    ]
  `);
});

test("a document stays in its split when others are added, and when validation grows no test document moves", () => {
  fc.assert(
    fc.property(fc.string(), fc.double({ min: 0.05, max: 0.5, noNaN: true }), (text, validation) => {
      const before = splitOf(hashOf(text), rule);
      const after = splitOf(hashOf(text), { ...rule, validation });
      expect(splitOf(hashOf(text), { ...rule })).toBe(before);
      if (before !== "train") expect(after).toBe(before);
      else expect(after).not.toBe("test");
    }),
  );
});

test("the shares are met within four standard errors", () => {
  const shares = { validation: 0.1, test: 0.02, key: "another" };
  const counts = { train: 0, validation: 0, test: 0 };
  const documents = 20_000;
  for (let index = 0; index < documents; index++) counts[splitOf(hashOf(`${index}`), shares)]++;
  for (const name of ["validation", "test"] as const) {
    const expected = shares[name];
    const error = Math.sqrt((expected * (1 - expected)) / documents);
    expect(Math.abs(counts[name] / documents - expected)).toBeLessThan(4 * error);
  }
});

test("shares that leave nothing to train on are refused", () => {
  expect(splitSchema.safeParse({ validation: 0.5, test: 0.5 }).success).toBe(false);
  expect(splitSchema.safeParse({ validaton: 0.1 }).success).toBe(false);
});
