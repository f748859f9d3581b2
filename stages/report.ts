// The report: tables, figures and verdicts from evaluations and training curves. See src/report/ for how.

import { writeFile } from "node:fs/promises";
import { z } from "zod";
import { defineStage } from "../src/pipeline/stage.ts";
import { hypothesisSchema } from "../src/report/hypothesis.ts";
import { buildReport } from "../src/report/report.ts";

export default defineStage({
  doc: "Turn evaluations and training curves into tables, figures and verdicts on the registered claims.",
  inputs: {
    runs: "evaluation[]",
    controls: "evaluation[]",
    curves: "model[]",
    shards: "shards?",
    contamination: "contamination?",
  },
  params: z.strictObject({
    title: z.string().min(1).default("Report").describe("Heading of README.md"),
    hypotheses: z.array(hypothesisSchema).default([]).describe("Filled from the pipeline's `hypotheses`"),
    resamples: z.int().min(100).max(1_000_000).default(10_000).describe("Bootstrap samples behind each interval"),
  }),
  outputs: { report: "report" },
  determinism: "bitwise",

  async run({ inputs, params, outputs, log, signal }) {
    const files = await buildReport(inputs, {
      ...params,
      onClaim(done, total) {
        signal.throwIfAborted();
        log.progress(done, total, "claims");
      },
    });
    for (const [file, text] of files) await writeFile(outputs.report.path(file), text);
    log.info(`${files.size} files; the report begins at README.md`);
  },
});
