import fc from "fast-check";
import { expect, test } from "vitest";
import { BpeTrainer } from "../../../src/data/tokenizers/bpe-trainer.ts";
import { GPT2_BYTE_ORDER } from "../../../src/data/tokenizers/byte-symbols.ts";
import { WordCounts } from "../../../src/data/tokenizers/word-counts.ts";

function train(documents: readonly string[], numMerges = Number.POSITIVE_INFINITY): number[] {
  const words = new WordCounts();
  for (const document of documents) words.add(document);
  const trainer = new BpeTrainer(words);
  while (trainer.merges.length < 2 * numMerges && trainer.mergeNext());
  return [...trainer.merges];
}

/** The definition: count all pairs anew before every merge. Words are sets of letters between single spaces. */
function trainSlowly(documents: readonly string[]): number[] {
  const words = documents
    .flatMap((document) => document.match(/ ?[a-z]+| +/g) ?? [])
    .map((word) => Array.from(Buffer.from(word), (byte) => GPT2_BYTE_ORDER.indexOf(byte)));
  const merges: number[] = [];
  for (;;) {
    const counts = new Map<string, { left: number; right: number; count: number }>();
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        const key = `${word[i]} ${word[i + 1]}`;
        const entry = counts.get(key) ?? { left: word[i], right: word[i + 1], count: 0 };
        entry.count++;
        counts.set(key, entry);
      }
    }
    const [best] = [...counts.values()].sort((a, b) => b.count - a.count || a.left - b.left || a.right - b.right);
    if (!best) return merges;
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        if (word[i] === best.left && word[i + 1] === best.right) word.splice(i, 2, 256 + merges.length / 2);
      }
    }
    merges.push(best.left, best.right);
  }
}

const spellings = (merges: readonly number[]) => {
  const spelled = Array.from(GPT2_BYTE_ORDER, (byte) => String.fromCharCode(byte));
  for (let i = 0; i < merges.length; i += 2) spelled.push(spelled[merges[i]] + spelled[merges[i + 1]]);
  return spelled.slice(256);
};

test("the most frequent pair is merged first and ties go to the smaller left, then the smaller right symbol", () => {
  expect(spellings(train(["ba ba ba", "ca", "cb"]))).toEqual(["ba", " ba", "ca", "cb"]);
});

test("a repeated letter is merged from the left", () => {
  expect(spellings(train(["aaaaa"]))).toEqual(["aa", "aaa", "aaaaa"]);
});

test("the merges are those of counting everything anew, to the last", () => {
  const document = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 12 }));
  fc.assert(
    fc.property(
      fc.array(
        document.map((words) => words.join(" ")),
        { maxLength: 6 },
      ),
      (documents) => {
        expect(train(documents)).toEqual(trainSlowly(documents));
      },
    ),
    { numRuns: 300 },
  );
});

test("a larger training starts with the merges of a smaller one", () => {
  const documents = ["the cat sat on the mat, and the rat ran at the cat", "a hat for that cat"];
  const all = train(documents);
  for (const size of [0, 1, 5, 12]) expect(train(documents, size)).toEqual(all.slice(0, 2 * size));
});

test("the order of the documents does not matter", () => {
  const documents = Array.from({ length: 40 }, (_, i) => `${"xyzw".repeat(i % 5)} ${i * 37} words ${i}`);
  expect(train(documents.toReversed())).toEqual(train(documents));
});

test("no text has no merges", () => {
  expect(train([])).toEqual([]);
  expect(train(["", "a", "b"])).toEqual([]);
});

test("more distinct words than the table first holds are all counted", () => {
  const words = new WordCounts();
  const numbers = Array.from({ length: 50_000 }, (_, i) => String(i).padStart(5, "0"));
  words.add(numbers.join(" "));
  words.add(numbers.join(" "));
  expect(words.numWords).toBe(50_000);
  expect(Array.from({ length: 50_000 }, (_, word) => words.countOf(word)).every((count) => count === 2)).toBe(true);
});

test("the work grows in step with a long run of one letter", () => {
  const fused = (length: number) => {
    const words = new WordCounts();
    words.add("a".repeat(length));
    const trainer = new BpeTrainer(words);
    while (trainer.mergeNext());
    return trainer.numFused;
  };
  expect(fused(1 << 16)).toBe((1 << 16) - 1);
  expect(fused(1 << 18)).toBe((1 << 18) - 1);
});

test("beyond the bound the words seen least are forgotten, by the documents alone, and frequent ones keep their counts", () => {
  const common = "the cat sat on the mat ".repeat(10);
  const rare = (document: number) => Array.from({ length: 40 }, (_, i) => ` w${document * 40 + i}x`).join("");
  const documents = Array.from({ length: 50 }, (_, document) => common + rare(document));
  const count = (maxWordBytes: number) => {
    const words = new WordCounts(maxWordBytes);
    for (const document of documents) {
      words.add(document);
      expect(words.numBytes).toBeLessThanOrEqual(maxWordBytes);
    }
    const spelled = Array.from({ length: words.numWords }, (_, word) => [
      Buffer.from(words.bytes.subarray(words.startOf(word), words.endOf(word))).toString(),
      words.countOf(word),
    ]);
    return { words, counts: Object.fromEntries(spelled) as Record<string, number> };
  };
  const exact = count(1 << 20);
  expect(exact.words.numForgotten).toBe(0);
  expect(exact.words.numWords).toBe(2000 + 9); // the numbers, " w", "x", a space and the six below
  const bounded = count(4000);
  expect(bounded.words.numForgotten).toBeGreaterThan(1000);
  expect(bounded.counts).toEqual(count(4000).counts);
  for (const word of ["the", " cat", " sat", " on", " the", " mat"])
    expect(bounded.counts[word]).toBe(exact.counts[word]);
});

test("a text and its UTF-8 are counted alike", () => {
  const words = [new WordCounts(), new WordCounts()] as const;
  words[0].add("naïve façade, naïve 人人");
  words[1].add(Buffer.from("naïve façade, naïve 人人"));
  const bytesOf = ({ bytes, numBytes }: WordCounts) => Buffer.from(bytes.subarray(0, numBytes)).toString();
  expect(bytesOf(words[0])).toBe(bytesOf(words[1]));
  expect(words[0].numWords).toBe(words[1].numWords);
});
