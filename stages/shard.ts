// Writes the splits as flat files of ids that training reads by position.

import { mkdirSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { arrangeTokens } from "../src/data/arrange.ts";
import { nearDuplicateSchema, orderSchema } from "../src/data/arrangement.ts";
import { writeShards } from "../src/data/shard-writer.ts";
import { splitNames } from "../src/data/split.ts";
import { loadTokenizer } from "../src/data/tokenizers/index.ts";
import { readTokensManifest } from "../src/data/tokens.ts";
import { defineStage } from "../src/pipeline/stage.ts";
import { UserError } from "../src/util/errors.ts";
import { formatCount } from "../src/util/format.ts";

export default defineStage({
  doc: "Write the splits as binary shards with an index of their documents.",
  inputs: { tokens: "tokens", tokenizer: "tokenizer?" },
  params: z.strictObject({
    shardTokens: z.int().min(1).default(100_000_000).describe("Tokens of a shard, at most; documents are never cut."),
    nearDuplicates: nearDuplicateSchema
      .optional()
      .describe("Leave out near duplicates, within and across splits; needs the input `tokenizer`. Not done if absent"),
    order: orderSchema
      .optional()
      .describe("Put the train split of each source in order of difficulty, for a curriculum; corpus order if absent"),
  }),
  outputs: { shards: "shards" },
  determinism: "bitwise",

  async run({ params, inputs, outputs, work, signal, log }) {
    const { nearDuplicates, order, shardTokens } = params;
    let tokens = inputs.tokens.path();
    if (nearDuplicates || order) {
      const tokenizer = inputs.tokenizer && loadTokenizer(inputs.tokenizer.path());
      if (tokenizer && tokenizer.digest !== readTokensManifest(tokens).tokenizer) throw otherTokenizer();
      const arranged = path.join(work, "arranged");
      mkdirSync(arranged, { recursive: true });
      const { arrangement } = await arrangeTokens({
        ...{ tokens, nearDuplicates, order, signal },
        pathOf: (name) => path.join(arranged, name),
        decode: tokenizer && ((ids) => tokenizer.decode(ids)),
        onProgress: (done, total, note) => log.progress(done, total, "documents", note),
      });
      if (arrangement?.nearDuplicates) {
        const { removed, acrossSplits } = arrangement.nearDuplicates;
        for (const name of splitNames) log.info(`${name}: ${formatCount(removed[name])} near duplicates left out`);
        log.info(`train: ${formatCount(acrossSplits)} of them near to held-out documents`);
      }
      tokens = arranged;
    }
    const manifest = await writeShards({
      tokens,
      pathOf: (name) => outputs.shards.path(name),
      shardTokens,
      signal,
      onProgress: (done, total) => log.progress(done, total, "tokens"),
    });
    for (const name of splitNames) {
      const { tokens, documents } = manifest.splits[name];
      log.info(`${name}: ${formatCount(documents)} documents, ${formatCount(tokens)} tokens`);
    }
  },
});

function otherTokenizer(): UserError {
  return new UserError("The tokens were made with another tokenizer than the one given.", {
    code: "TOKENIZER_MISMATCH",
    where: { path: "inputs.tokenizer" },
    hint: "Give the shard stage the tokenizer of the stage that made the tokens.",
  });
}
