// Writes the splits as flat files of ids that training reads by position.

import { z } from "zod";
import { writeShards } from "../src/data/shard-writer.ts";
import { splitNames } from "../src/data/split.ts";
import { defineStage } from "../src/pipeline/stage.ts";
import { formatCount } from "../src/util/format.ts";

export default defineStage({
  doc: "Write the splits as binary shards with an index of their documents.",
  inputs: { tokens: "tokens" },
  params: z.strictObject({
    shardTokens: z.int().min(1).default(100_000_000).describe("Tokens of a shard, at most; documents are never cut."),
  }),
  outputs: { shards: "shards" },
  determinism: "bitwise",

  async run({ params, inputs, outputs, signal, log }) {
    const manifest = await writeShards({
      tokens: inputs.tokens.path(),
      pathOf: (name) => outputs.shards.path(name),
      shardTokens: params.shardTokens,
      signal,
      onProgress: (done, total) => log.progress(done, total, "tokens"),
    });
    for (const name of splitNames) {
      const { tokens, documents } = manifest.splits[name];
      log.info(`${name}: ${formatCount(documents)} documents, ${formatCount(tokens)} tokens`);
    }
  },
});
