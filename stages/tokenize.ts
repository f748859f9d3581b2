// Turns text into token ids: learns or loads the tokenizer, splits the documents, encodes every one.

import { z } from "zod";
import { splitSchema } from "../src/data/split.ts";
import { describeCounts, encodeCorpus, learnTokenizer } from "../src/data/tokenize.ts";
import { loadTokenizer, tokenizerNames } from "../src/data/tokenizers/index.ts";
import { defineStage } from "../src/pipeline/stage.ts";
import { formatCount } from "../src/util/format.ts";

export default defineStage({
  doc: "Learn the tokenizer on the train split and encode every document.",
  // With `tokenizer`, the first merges of a larger bpe are taken instead of learning one: a training serves all sizes.
  inputs: { corpus: "dataset", tokenizer: "tokenizer?" },
  params: z.strictObject({
    tokenizer: z.enum(tokenizerNames),
    vocabSize: z.int().min(1).optional().describe("Needed by bpe; the other tokenizers have one size."),
    split: splitSchema.prefault({}).describe("Shares of the documents held out, by a keyed hash of their text."),
  }),
  outputs: { tokenizer: "tokenizer", tokens: "tokens" },
  determinism: "bitwise",

  async run({ params, inputs, outputs, work, threads, signal, log }) {
    const options = {
      corpus: inputs.corpus.path(),
      kind: params.tokenizer,
      vocabSize: params.vocabSize,
      split: params.split,
      learned: inputs.tokenizer && loadTokenizer(inputs.tokenizer.path()),
      work,
      threads,
      signal,
      onProgress: (done: number, total: number, note: string) => log.progress(done, total, "bytes", note),
      onForgotten: (words: number) =>
        log.warn(`Merges were learned without the ${formatCount(words)} rarest of too many words to keep`),
    };
    const tokenizer = await learnTokenizer(options);
    tokenizer.save(outputs.tokenizer.path());
    const manifest = await encodeCorpus(tokenizer, (name) => outputs.tokens.path(name), options);
    for (const line of describeCounts(manifest)) log.warn(line);
    const { documents, tokens, bytes } = manifest;
    const rate = (bytes / Math.max(1, tokens)).toFixed(2);
    log.info(`${formatCount(documents)} documents, ${formatCount(tokens)} tokens, ${rate} bytes a token`);
    log.measure("documents", documents);
    log.measure("tokens", tokens);
  },
});
