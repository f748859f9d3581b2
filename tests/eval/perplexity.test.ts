import fc from "fast-check";
import { expect, test } from "vitest";
import { uniform } from "../../src/eval/controls.ts";
import { perplexityOf, scoreSplit } from "../../src/eval/perplexity.ts";
import { wholeWindow } from "../../src/models/language-model.ts";
import { constantModel, hashModel } from "./helpers.ts";

const END = 256;
const documentOf = (text: string) => ({
  ids: Int32Array.from(Buffer.from(text)),
  bytes: Buffer.byteLength(text),
  characters: [...text].length,
});
const splitOf = (texts: readonly string[]) => ({ name: "test", documents: () => texts.map(documentOf) });
const TEXTS = ["Once upon a time", "", "naïve 😀", "x".repeat(3000)];

test("the uniform model needs log2(vocabSize) bits per token, so many times tokens / bytes per byte", async () => {
  const vocabSize = 512;
  const split = {
    name: "test",
    documents: () =>
      TEXTS.map(documentOf).map((document) => ({ ...document, ids: document.ids.filter((_, i) => i % 3 > 0) })),
  };
  const figures = perplexityOf(await scoreSplit(uniform(vocabSize), split, { endOfText: END }));
  expect(figures.tokens).toBeLessThan(figures.bytes);
  expect(figures.bitsPerByte).toBeCloseTo((Math.log2(vocabSize) * figures.tokens) / figures.bytes, 6);
  expect(figures.tokenPerplexity).toBeCloseTo(vocabSize, 3);
  expect(figures.characterPerplexity).toBeCloseTo(vocabSize ** (figures.tokens / figures.characters), 3);
  expect(figures.endOfTextNats).toBeCloseTo(TEXTS.length * Math.log(vocabSize), 5);
});

test("bytes, characters, tokens and documents are those of the texts, without ends of text", async () => {
  const rows = await scoreSplit(hashModel(257, 64), splitOf(TEXTS), { endOfText: END });
  expect(rows.map(({ document, tokens, bytes, characters }) => [document, tokens, bytes, characters])).toEqual([
    [0, 16, 16, 16],
    [1, 0, 0, 0],
    [2, 11, 11, 7],
    [3, 3000, 3000, 3000],
  ]);
  expect(perplexityOf(rows)).toMatchObject({ tokens: 3027, bytes: 3027, characters: 3023, documents: 4 });
});

test("a document's nats are the negated sum of its tokens' log-probabilities after an end of text", async () => {
  const model = hashModel(257, 64);
  const text = "Once upon";
  const [row] = await scoreSplit(model, splitOf([text]), { endOfText: END });
  const values = [...model.logProbs([wholeWindow(Int32Array.from([END, ...Buffer.from(text), END]))])[0]!];
  expect(row!.end_of_text_nats).toBeCloseTo(-values.at(-1)!, 12);
  expect(row!.nats).toBeCloseTo(-values.slice(0, -1).reduce((sum, value) => sum + value, 0), 12);
});

test("a document's row does not depend on the other documents", async () => {
  const score = (texts: readonly string[]) => scoreSplit(hashModel(257, 16), splitOf(texts), { endOfText: END });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string(), { minLength: 1, maxLength: 6 }), async (texts) => {
      const together = await score(texts);
      for (const [document, text] of texts.entries()) {
        const [alone] = await score([text]);
        expect(together[document]).toEqual({ ...alone!, document });
      }
    }),
    { numRuns: 50 },
  );
});

test("what is not finite becomes null, and so do the figures that rest on it", async () => {
  const rows = await scoreSplit(constantModel(257, Number.NaN), splitOf(["ab", "c"]), { endOfText: END });
  expect(rows[0]).toMatchObject({ nats: null, end_of_text_nats: null, tokens: 2 });
  expect(perplexityOf(rows)).toEqual({
    nats: null,
    tokens: 3,
    bytes: 3,
    characters: 3,
    documents: 2,
    endOfTextNats: null,
    bitsPerByte: null,
    tokenPerplexity: null,
    characterPerplexity: null,
  });
  const hopeless = perplexityOf(await scoreSplit(constantModel(257, -800), splitOf(["ab"]), { endOfText: END }));
  expect(hopeless).toMatchObject({ nats: 1600, bitsPerByte: 800 / Math.LN2, tokenPerplexity: null });
});

test("a split without documents has no figures, and no division by zero", async () => {
  const rows = await scoreSplit(uniform(257), splitOf([]), { endOfText: END });
  expect(perplexityOf(rows)).toMatchObject({ nats: 0, documents: 0, bitsPerByte: null, tokenPerplexity: null });
});

test("an aborted signal stops between documents", async () => {
  const controller = new AbortController();
  const scoring = scoreSplit(hashModel(257, 64), splitOf(Array(50).fill("x".repeat(9000))), {
    endOfText: END,
    signal: controller.signal,
    onProgress: () => controller.abort(new Error("stopped by hand")),
  });
  await expect(scoring).rejects.toThrow("stopped by hand");
});
