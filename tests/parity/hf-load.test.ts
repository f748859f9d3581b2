// Hugging Face's own library opens our tokenizer.json and gives our ids.

import { createRequire } from "node:module";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { loadTokenizer, makeTokenizer, smallerTokenizer, type Tokenizer } from "../../src/data/tokenizers/index.ts";
import { fixedTexts, randomText } from "../data/tokenizers/texts.ts";
import { temporaryFolder } from "../rigs/stage-rig.ts";

type HuggingFace = typeof import("@anush008/tokenizers");

/** Its binary is built for some platforms only. */
function load(): HuggingFace | undefined {
  try {
    return createRequire(import.meta.url)("@anush008/tokenizers");
  } catch {
    return undefined;
  }
}

const huggingFace = load();
const documents = Array.from({ length: 200 }, (_, index) => randomText(31, index));
// That library takes the end of text out of a text, which data must not do.
const texts = [...fixedTexts, ...Array.from({ length: 300 }, (_, index) => randomText(32, index))].filter(
  (text) => !text.includes("<|endoftext|>"),
);

describe.skipIf(huggingFace === undefined)("Hugging Face's tokenizers (skipped where its binary does not load)", () => {
  const made: Record<string, () => Promise<Tokenizer>> = {
    gpt2: () => makeTokenizer("gpt2", { documents: [] }),
    bpe: () => makeTokenizer("bpe", { vocabSize: 600, documents }),
    "a smaller bpe": async () => smallerTokenizer(await makeTokenizer("bpe", { vocabSize: 600, documents }), 400),
    bytes: () => makeTokenizer("bytes", { documents: [] }),
  };

  test.each(Object.keys(made))("reads the saved %s, gives the same ids and decodes them", async (name) => {
    const folder = temporaryFolder("tokenizer");
    (await made[name]!()).save(folder);
    const ours = loadTokenizer(folder);
    const theirs = huggingFace!.Tokenizer.fromFile(path.join(folder, "tokenizer.json"));
    expect(theirs.getVocabSize()).toBe(ours.vocabSize);
    expect(theirs.tokenToId("<|endoftext|>")).toBe(ours.endOfText);
    for (const text of texts) {
      const encoding = await theirs.encode(text, null, { addSpecialTokens: false });
      expect(encoding.getIds(), JSON.stringify(text)).toEqual(Array.from(ours.encode(text)));
      expect(await theirs.decode(encoding.getIds(), false)).toBe(text);
    }
  });
});
