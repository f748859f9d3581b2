// Counts how many items of each benchmark stand, in part or whole, in the text that models are trained on.

import { writeFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { z } from "zod";
import { openShards } from "../src/data/shards.ts";
import { loadTokenizer } from "../src/data/tokenizers/index.ts";
import { ContaminationCheck } from "../src/eval/contamination.ts";
import { readBenchmarks, readUnscored } from "../src/eval/dataset.ts";
import { defineStage } from "../src/pipeline/stage.ts";
import { canonicalJson, prettyCanonicalJson } from "../src/util/canonical-json.ts";
import { UserError } from "../src/util/errors.ts";
import { formatCount } from "../src/util/format.ts";

export default defineStage({
  doc: "Look for n-grams of the benchmark items in the training text.",
  inputs: { shards: "shards", tokenizer: "tokenizer", benchmarks: "dataset" },
  params: z.strictObject({
    ngramWords: z.int().min(1).max(100).default(13).describe("Words of an n-gram; an item with fewer must occur whole"),
    leastWords: z.int().min(1).default(5).describe("Items of fewer words are not checked"),
  }),
  outputs: { contamination: "contamination" },
  determinism: "bitwise",

  async run({ params, inputs, outputs, signal, log }) {
    const tokenizer = loadTokenizer(inputs.tokenizer.path());
    const shards = openShards(inputs.shards.path());
    try {
      if (shards.manifest.tokenizer !== tokenizer.digest) throw otherTokenizer();
      // This protocol's wording is close to the published rows; both have the same items and ids.
      const folder = inputs.benchmarks.path();
      const { tasks } = await readBenchmarks(folder, { protocol: "stlm" });
      const check = new ContaminationCheck([...tasks, ...(await readUnscored(folder))], params);
      const train = shards.split("train");
      let done = 0;
      for (const { ids } of train.documents()) {
        if (done % 64 === 0) await setImmediate(); // lets signals in
        signal.throwIfAborted();
        check.read(tokenizer.decode(ids));
        log.progress(++done, train.documentCount, "documents");
      }
      const benchmarks = check.result();
      const matches = [...check.matches()];
      const summary = {
        ...params,
        documents: train.documentCount,
        bytes: shards.manifest.splits.train.bytes,
        benchmarks,
      };
      writeFileSync(outputs.contamination.path("contamination.json"), prettyCanonicalJson(summary));
      const lines = matches.map((match) => `${canonicalJson(match)}\n`).join("");
      writeFileSync(outputs.contamination.path("matches.jsonl"), lines);
      for (const [name, { checked, overlapping }] of Object.entries(benchmarks)) {
        log.info(
          `${name}: ${formatCount(overlapping)} of ${formatCount(checked)} checked items overlap the training text`,
        );
      }
    } finally {
      shards.close();
    }
  },
});

function otherTokenizer(): UserError {
  return new UserError("The shards hold the ids of another tokenizer than the one given.", {
    code: "TOKENIZER_MISMATCH",
    where: { path: "inputs.tokenizer" },
    hint: "Give the contamination stage the tokenizer that the shards were made with.",
  });
}
