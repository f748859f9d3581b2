import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { wordsOf } from "../../src/data/words.ts";
import { arcEasy } from "../../src/eval/benchmarks/arc-easy.ts";
import { blimp } from "../../src/eval/benchmarks/blimp.ts";
import { hellaswag } from "../../src/eval/benchmarks/hellaswag.ts";
import { mmlu } from "../../src/eval/benchmarks/mmlu.ts";
import { winogrande } from "../../src/eval/benchmarks/winogrande.ts";
import { ContaminationCheck, passageOf } from "../../src/eval/contamination.ts";
import { type Benchmark, makeItems } from "../../src/eval/item.ts";
import { itemOf } from "./helpers.ts";

const rule = { ngramWords: 13, leastWords: 5 };

function passage(task: string, benchmark: Benchmark, row: object): string {
  return passageOf(makeItems(task, [benchmark.question(row)], "stlm")[0]!).trim();
}

test("a passage is the item's own text with the right answer, without a protocol's words", () => {
  const options = { choices: { text: ["Ice", "Steam"], label: ["A", "B"] }, answerKey: "B" };
  expect(passage("arc-easy", arcEasy, { question: "What is hot?", ...options })).toMatch(/^What is hot\? +Steam$/);
  const pair = { sentence_good: "Cats sleep.", sentence_bad: "Cats sleeps.", UID: "x" };
  expect(passage("blimp", blimp, pair)).toBe("Cats sleep.");
  const scene = { query: "Cooking: A man stirs", endings: ["soup.", "sand.", "air.", "wood."], label: 0 };
  expect(passage("hellaswag", hellaswag, scene)).toMatch(/A man stirs +soup\.$/);
  const exam = { question: "Which ratio?", subject: "s", choices: ["1: 2", "2", "3", "\n Answer: 4"], answer: 0 };
  expect(passage("mmlu", mmlu, exam)).toMatch(/^Which ratio\? +1: 2$/);
  const blank = {
    sentence: "The cup fit the box as _ was small.",
    option1: "the cup",
    option2: "the box",
    answer: "1",
  };
  expect(passage("winogrande", winogrande, blank)).toBe("The cup fit the box as the cup was small.");
});

const item = (text: string) => itemOf([{ context: "", continuation: ` ${text}` }], { id: wordsOf(text).join("-") });

describe("an item", () => {
  const sentence = "The quick brown fox jumps over the lazy dog and then it sleeps in the warm sun until noon";
  const counts = (text: string, items = [item(sentence)]) => {
    const check = new ContaminationCheck([{ task: "blimp", items }], rule);
    check.read("Something else altogether, of no interest.");
    check.read(text);
    return { ...check.result()["blimp"], matches: [...check.matches()] };
  };

  test("overlaps a text that has thirteen of its words in a row, whatever case and punctuation", () => {
    const leak = "He wrote: “BROWN fox, jumps over the lazy dog -- and then it sleeps in the…” nothing.";
    expect(counts(leak)).toMatchObject({ items: 1, checked: 1, overlapping: 1, contained: 0 });
    expect(counts(leak).matches).toEqual([
      {
        benchmark: "blimp",
        item: item(sentence).id,
        ...{ ngrams: 7, found: 1, document: 1 },
        text: "brown fox jumps over the lazy dog and then it sleeps in the",
      },
    ]);
  });

  test("does not overlap a text that has twelve", () => {
    expect(counts("brown fox jumps over the lazy dog and then it sleeps in a warm sun")).toMatchObject({
      overlapping: 0,
    });
  });

  test("is contained in a text that has all of it", () => {
    expect(counts(`${sentence}.`)).toMatchObject({ overlapping: 1, contained: 1 });
  });

  test("of fewer than thirteen words must occur whole, and of fewer than five is not checked", () => {
    const short = [item("Cats sleep in the sun"), item("Cats sleep in sun")];
    expect(counts("cats sleep in the sun", short)).toMatchObject({
      items: 2,
      checked: 1,
      overlapping: 1,
      contained: 1,
    });
    expect(counts("Cats sleep in the ... shade, cats sleep in sun.", short)).toMatchObject({ overlapping: 0 });
  });
});

test("the counts are those of a search for strings of words", () => {
  const words = (minLength: number, maxLength: number) =>
    fc.array(fc.constantFrom("a", "b", "c"), { minLength, maxLength }).map((all) => all.join(" "));
  fc.assert(
    fc.property(
      fc.array(words(0, 9), { minLength: 1, maxLength: 8 }),
      fc.array(words(0, 30), { maxLength: 5 }),
      fc.record({ ngramWords: fc.integer({ min: 1, max: 6 }), leastWords: fc.integer({ min: 1, max: 4 }) }),
      (items, documents, rule) => {
        const check = new ContaminationCheck([{ task: "blimp", items: items.map(item) }], rule);
        for (const document of documents) check.read(document);
        const expected = { items: items.length, checked: 0, overlapping: 0, contained: 0 };
        for (const text of items) {
          const own = wordsOf(text);
          if (own.length < rule.leastWords) continue;
          const n = Math.min(own.length, rule.ngramWords);
          const ngrams = Array.from({ length: own.length - n + 1 }, (_, at) => ` ${own.slice(at, at + n).join(" ")} `);
          const found = ngrams.filter((ngram) => documents.some((document) => ` ${document} `.includes(ngram))).length;
          expected.checked++;
          if (found > 0) expected.overlapping++;
          if (found === ngrams.length) expected.contained++;
        }
        expect(check.result()["blimp"]).toEqual(expected);
        expect([...check.matches()]).toHaveLength(expected.overlapping);
      },
    ),
    { numRuns: 150 },
  );
});
