import fc from "fast-check";
import { expect, test } from "vitest";
import { WordHashes, wordsOf } from "../../src/data/words.ts";

function hashesOf(text: string, length: number): string[] {
  const words = new WordHashes();
  const count = words.read(text);
  return Array.from({ length: Math.max(0, count - length + 1) }, (_, at) => {
    words.ngram(at, length);
    return `${words.first}:${words.second}`;
  });
}

test("case, punctuation and white space do not count", () => {
  expect(hashesOf("The cat -- the\n“CAT”!", 1)).toEqual(hashesOf("the cat the cat", 1));
  expect(hashesOf("don't stop", 2)).toHaveLength(2);
  expect(hashesOf("ﬁne Ⅳ", 2)).toEqual(hashesOf("FINE iv", 2));
  expect(hashesOf(" …!? ", 1)).toEqual([]);
});

test("in scripts without spaces each character is a word", () => {
  expect(hashesOf("学而时习之", 1)).toHaveLength(5);
  expect(wordsOf("ABC学dé-f เก")).toEqual(["abc", "学", "dé", "f", "เ", "ก"]);
  expect(hashesOf("abc学def", 1)).toHaveLength(3);
});

test("characters above U+FFFF are letters, and join to words", () => {
  const text = "hello 😀 a😀b! 𠀀𠀁 𐐀x 🇩🇪 x\ud800y";
  expect(wordsOf(text)).toEqual(["hello", "😀", "a😀b", "𠀀𠀁", "𐐨x", "🇩🇪", "x\ud800y"]);
  expect(hashesOf(text, 1)).toHaveLength(7);
});

test("n-grams are equal where their words are, and order counts", () => {
  const text = fc.array(
    fc.constantFrom("a", "b", "ab", "ba", "Über", "7", "日本", "ni日", "😀", "a😀b", "𠀀𠀁", "\ud800"),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(text, text, fc.integer({ min: 1, max: 4 }), (a, b, length) => {
      const texts = [a.join(" "), b.join("-")];
      const hashes = texts.flatMap((each) => hashesOf(each, length));
      const words = texts.flatMap((each) => {
        const all = wordsOf(each);
        return Array.from({ length: Math.max(0, all.length - length + 1) }, (_, at) =>
          all.slice(at, at + length).join(" "),
        );
      });
      expect(hashes.length).toBe(words.length);
      expect(new Set(hashes).size).toBe(new Set(words).size);
      for (const [index, hash] of hashes.entries()) expect(words[hashes.indexOf(hash)]).toBe(words[index]);
    }),
    { numRuns: 60 },
  );
});
