import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { preprocess } from "../../src/eval/benchmarks/hellaswag.ts";
import { capitalize, codePoints, strip } from "../../src/eval/python-text.ts";

interface Case {
  readonly text: string;
  readonly strip: string;
  readonly capitalize: string;
  readonly length: number;
  readonly preprocess: string;
}

const cases: Case[] = JSON.parse(readFileSync(new URL("../parity/hellaswag-preprocess.json", import.meta.url), "utf8"));

test("text is prepared as Python prepares it, on 300 random texts", () => {
  expect(cases).toHaveLength(300);
  for (const expected of cases) {
    const { text } = expected;
    const found = {
      strip: strip(text),
      capitalize: capitalize(text),
      length: codePoints(text),
      preprocess: preprocess(text),
    };
    expect({ text, ...found }).toEqual(expected);
  }
});
