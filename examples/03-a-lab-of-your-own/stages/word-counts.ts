// How often each word of a corpus occurs: a stage as small as a stage can be.

import { writeFileSync } from "node:fs";
import { defineStage, z } from "stlm-pipeline";
import { readDocuments } from "stlm-pipeline/data";

export default defineStage({
  doc: "Count the words of a corpus.",
  inputs: { corpus: "dataset" },
  params: z.strictObject({ minLength: z.int().min(1).default(1).describe("Shorter words are left out (letters)") }),
  outputs: { counts: "files" },
  determinism: "bitwise",

  async run({ inputs, params, outputs, signal, log }) {
    const counts = new Map<string, number>();
    for await (const { text } of readDocuments(inputs.corpus.path(), { signal })) {
      for (const [word] of text.toLowerCase().matchAll(/\p{L}+/gu)) {
        if (word.length >= params.minLength) counts.set(word, (counts.get(word) ?? 0) + 1);
      }
    }
    // Ties in the order of the letters: equal inputs must give equal bytes.
    const lines = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([word, n]) => `${n}\t${word}\n`);
    writeFileSync(outputs.counts.path("counts.tsv"), lines.join(""));
    log.info(`${counts.size} words`);
  },
});
