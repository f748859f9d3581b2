import fc from "fast-check";
import { expect, test } from "vitest";
import { scoreDocuments } from "../../src/models/document-scores.ts";
import { evaluateHeldOut, leadingDocuments } from "../../src/models/held-out.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { randomIds } from "./tiny.ts";

const END = 36;

/** -log p of an id after another one, whatever stood before: so the sum over a stream is known. */
const cost = (before: number, id: number) => 1 + ((before * 7 + id) % 5);

const bigram: LanguageModel = {
  vocabSize: 37,
  contextWindow: 5,
  logProbs: (windows) =>
    windows.map(({ ids }) => {
      if (ids.length < 1 || ids.length > 6) throw new RangeError("too long");
      return Float32Array.from({ length: ids.length - 1 }, (_, t) => -cost(ids[t]!, ids[t + 1]!));
    }),
};

test("every token of every document is scored exactly once, and the end of text apart", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(23), { maxLength: 6 }), (lengths) => {
      const documents = lengths.map((length, i) => randomIds(i, length, 36));
      const scores = [...scoreDocuments(bigram, documents, END)];
      expect(scores).toEqual(
        documents.map((ids) => {
          const stream = [END, ...ids];
          const nats = [...ids].reduce((sum, id, t) => sum + cost(stream[t]!, id), 0);
          return { nats, tokens: ids.length, endOfTextNats: cost(stream[ids.length]!, END) };
        }),
      );
    }),
  );
});

test("the watched slice is whole leading documents with at least so many tokens", () => {
  const documents = [4, 6, 5, 9].map((length, i) => ({ ids: randomIds(i, length), bytes: 10 * length }));
  expect(leadingDocuments(documents, 10)).toEqual(documents.slice(0, 2));
  expect(leadingDocuments(documents, 11)).toEqual(documents.slice(0, 3));
  expect(leadingDocuments(documents, 1000)).toEqual(documents);
});

test("bits per byte divide the documents' own nats by their bytes", async () => {
  const documents = [3, 7].map((length, i) => ({ ids: randomIds(i, length, 36), bytes: 2 * length }));
  const nats = [
    ...scoreDocuments(
      bigram,
      documents.map(({ ids }) => ids),
      END,
    ),
  ].reduce((sum, score) => sum + score.nats, 0);
  const result = await evaluateHeldOut(bigram, documents, END, new AbortController().signal);
  expect(result.loss).toBeCloseTo(nats / 10, 12);
  expect(result.bitsPerByte).toBeCloseTo(nats / 20 / Math.log(2), 12);
});
