// Recall and precision against exact Jaccard similarity, and the laws that removal keeps.

import fc from "fast-check";
import { expect, test } from "vitest";
import { nearDuplicateSchema } from "../../src/data/arrangement.ts";
import { estimateJaccard, jaccardSimilarity, MinHasher, shingleSet } from "../../src/data/minhash.ts";
import { NearDuplicates } from "../../src/data/near-duplicates.ts";
import { WordHashes, wordsOf } from "../../src/data/words.ts";
import { CounterRandom } from "../../src/util/philox.ts";

const rule = nearDuplicateSchema.parse({});
const LENGTH = rule.bands * rule.rows;

const words = new WordHashes();
const shingles = (text: string) => shingleSet(words, text, rule.shingleWords);

/** Jaccard similarity over the words themselves. */
function similarity(a: string, b: string): number {
  const [first, second] = [a, b].map((text) => {
    const all = wordsOf(text);
    const size = Math.min(rule.shingleWords, all.length);
    return new Set(all.slice(0, all.length - size + 1).map((_, at) => all.slice(at, at + size).join(" ")));
  });
  const shared = [...first!].filter((shingle) => second!.has(shingle)).length;
  return shared / (first!.size + second!.size - shared);
}

function signaturesOf(texts: readonly string[]): Uint8Array {
  const hasher = new MinHasher(LENGTH, rule.shingleWords);
  const signatures = new Uint8Array(texts.length * LENGTH);
  for (const [document, text] of texts.entries()) hasher.sign(text, signatures, document * LENGTH);
  return signatures;
}

/** For each document the earlier one that it was found near to, or -1. */
function find(texts: readonly string[]): number[] {
  const exact = (a: number, b: number) => jaccardSimilarity(shingles(texts[a]!), shingles(texts[b]!));
  const index = new NearDuplicates(rule, signaturesOf(texts), exact);
  return texts.map((_, document) => index.add(document));
}

/** Pairs of 200 words: a text, and a copy in which some words are others. */
function editedPairs(pairs: number, mostEdits: number): string[][][] {
  const random = new CounterRandom(489, 99);
  let drawn = 0;
  const word = () => `w${random.integer(drawn++, 3000)}`;
  return Array.from({ length: pairs }, (_, pair) => {
    const text = Array.from({ length: 200 }, word);
    const copy = [...text];
    for (let edit = 0; edit < pair % (mostEdits + 1); edit++) copy[random.integer(drawn++, copy.length)] = word();
    return [text, copy];
  });
}

test("whatever is found is near, and of what is near over 0.93 is found, from 0.85 on over 0.98", () => {
  const near = { all: 0, found: 0, above: 0, aboveFound: 0 };
  for (const [text, copy] of editedPairs(600, 24)) {
    const exact = similarity(text!.join(" "), copy!.join(" "));
    const found = find([text!.join(" "), copy!.join(" ")])[1] === 0;
    if (found) expect(exact).toBeGreaterThanOrEqual(rule.threshold);
    if (exact < rule.threshold) continue;
    near.all++;
    if (found) near.found++;
    if (exact >= 0.85) near.above++;
    if (exact >= 0.85 && found) near.aboveFound++;
  }
  expect(near.above).toBeGreaterThan(60);
  expect(near.found / near.all).toBeGreaterThan(0.93);
  expect(near.aboveFound / near.above).toBeGreaterThan(0.98);
});

test("signatures estimate the similarity without bias, within four standard errors of 128 draws", () => {
  let bias = 0;
  const pairs = editedPairs(120, 24);
  for (const [text, copy] of pairs) {
    const exact = similarity(text!.join(" "), copy!.join(" "));
    const signatures = signaturesOf([text!.join(" "), copy!.join(" ")]);
    let agreements = 0;
    for (let index = 0; index < LENGTH; index++) if (signatures[index] === signatures[LENGTH + index]) agreements++;
    const error = estimateJaccard(agreements, LENGTH) - exact;
    bias += error / pairs.length;
    expect(Math.abs(error)).toBeLessThan(4 * Math.sqrt((exact * (1 - exact)) / LENGTH) + 0.02);
  }
  expect(Math.abs(bias)).toBeLessThan(0.015);
});

test("a short signature, whose estimate is rough, drops no pair that its bands found", () => {
  const short = { ...rule, bands: 8, rows: 1 };
  const hasher = new MinHasher(8, rule.shingleWords);
  let [near, found] = [0, 0];
  for (const [text, copy] of editedPairs(300, 4)) {
    const pair = [text!.join(" "), copy!.join(" ")];
    const jaccard = similarity(pair[0]!, pair[1]!);
    if (jaccard < rule.threshold) continue;
    const signatures = new Uint8Array(16);
    for (const [document, each] of pair.entries()) hasher.sign(each, signatures, document * 8);
    const index = new NearDuplicates(short, signatures, () => jaccard);
    near++;
    if (index.add(0) < 0 && index.add(1) === 0) found++;
  }
  expect(near).toBeGreaterThan(100);
  expect(found / near).toBeGreaterThan(0.99);
});

const story = fc.array(fc.constantFrom("the", "cat", "sat", "on", "a", "mat", "dog", "ran"), {
  minLength: 1,
  maxLength: 12,
});

test("every dropped document is near to a kept one before it, and equal words always meet", () => {
  fc.assert(
    fc.property(fc.array(story, { minLength: 1, maxLength: 25 }), (stories) => {
      const texts = stories.map((words) => words.join(" "));
      const near = find(texts);
      for (const [document, other] of near.entries()) {
        if (other >= 0) expect(other).toBeLessThan(document);
        if (other >= 0) expect(near[other]).toBe(-1);
        if (other >= 0) expect(similarity(texts[document]!, texts[other]!)).toBeGreaterThanOrEqual(rule.threshold);
        const copy = texts.indexOf(texts[document]!);
        if (copy < document) expect(near[document]).toBeGreaterThanOrEqual(0);
      }
    }),
    { numRuns: 60 },
  );
});

test("documents that come later change nothing for those before them", () => {
  fc.assert(
    fc.property(fc.array(story, { minLength: 2, maxLength: 20 }), fc.nat(), (stories, at) => {
      const texts = stories.map((words) => words.join(" "));
      const cut = 1 + (at % (texts.length - 1));
      expect(find(texts).slice(0, cut)).toEqual(find(texts.slice(0, cut)));
    }),
    { numRuns: 40 },
  );
});

test("a band that all documents share costs each of them a bounded number of comparisons", () => {
  const documents = 2000;
  const boilerplate = { ...rule, threshold: 0.4, bands: 2, rows: 4 }; // the first band of all is alike, the second never
  const signatures = new Uint8Array(documents * 8);
  for (let document = 0; document < documents; document++) {
    signatures.set([7, 7, 7, 7, document & 255, document >> 8, 1, 2], document * 8);
  }
  let comparisons = 0;
  const index = new NearDuplicates(boilerplate, signatures, () => {
    comparisons++;
    return 0;
  });
  for (let document = 0; document < documents; document++) expect(index.add(document)).toBe(-1);
  // 64 by the band, and some that lie in between by their other band; without a bound it would be 1,000.
  expect(comparisons).toBeGreaterThan(60 * documents);
  expect(comparisons).toBeLessThan(100 * documents);
});

test("a text without words has no signature", () => {
  expect(new MinHasher(LENGTH, 5).sign("… !!! —", new Uint8Array(LENGTH))).toBe(false);
  expect(nearDuplicateSchema.safeParse({ treshold: 0.5 }).success).toBe(false);
});
