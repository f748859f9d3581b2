// The contamination artifact as a table of the database; see src/eval/contamination.ts for what was counted.

import { z } from "zod";
import type { ReportDatabase } from "./db.ts";
import { type ReportArtifact, readJson } from "./inputs.ts";
import { isMetric, metrics } from "./metrics.ts";

const summarySchema = z.object({
  ngramWords: z.number(),
  leastWords: z.number(),
  documents: z.number(),
  benchmarks: z.record(
    z.string(),
    z.object({ items: z.number(), checked: z.number(), overlapping: z.number(), contained: z.number() }),
  ),
});

/** Labels of benchmarks that no table scores. */
const UNSCORED: Readonly<Record<string, string>> = { gsm8k: "GSM8K" };

/** Creates `contamination`, a row a benchmark in the order of table 2, others behind; empty without one. */
export async function createContamination(
  database: ReportDatabase,
  artifact: ReportArtifact | undefined,
): Promise<void> {
  const summary = artifact && readJson(artifact.path("contamination.json"), summarySchema);
  const rows = Object.entries(summary?.benchmarks ?? {}).map(([metric, counts]) => ({
    ...counts,
    metric,
    position: isMetric(metric) ? Object.keys(metrics).indexOf(metric) : Object.keys(metrics).length,
    label: isMetric(metric) ? metrics[metric].label : (UNSCORED[metric] ?? metric),
    ngram_words: summary!.ngramWords,
    least_words: summary!.leastWords,
    documents: summary!.documents,
    digest: artifact!.digest,
  }));
  const columns = {
    ...{ metric: "VARCHAR", label: "VARCHAR", position: "INTEGER", digest: "VARCHAR" },
    ...{ items: "BIGINT", checked: "BIGINT", overlapping: "BIGINT", contained: "BIGINT" },
    ...{ ngram_words: "INTEGER", least_words: "INTEGER", documents: "BIGINT" },
  };
  await database.create("contamination", columns, rows);
}
