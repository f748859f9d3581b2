// HellaSwag: which of four endings follows a scene (Zellers et al. 2019). Reads the hub's columns (`ctx_a`, `ctx_b`,
// `activity_label`), and the reduced form (`query`, `endings`, `label`), whose brackets are already removed,
// with a context not capitalised and endings without leading spaces: close to the harness's requests, not equal to them.

import { z } from "zod";
import { type Benchmark, goldFirst, type Question } from "../item.ts";
import { capitalize, strip } from "../python-text.ts";

const answers = {
  endings: z.array(z.string()).length(4),
  label: z
    .union([z.string().regex(/^\d+$/), z.number()])
    .transform(Number)
    .pipe(z.int().min(0).max(3)),
};
const hubSchema = z.object({
  ...answers,
  activity_label: z.string(),
  ctx_a: z.string(),
  ctx_b: z.string(),
  ctx: z.string(),
  source_id: z.string().optional(),
});
const reducedSchema = z.object({ ...answers, query: z.string() });

/**
 * The harness's cleaning of WikiHow's marks, in its order: strip, `[title]`, other brackets, double spaces once.
 * Nothing is stripped afterwards, so a result may open or end with a space.
 */
export function preprocess(text: string): string {
  return strip(text)
    .replaceAll(" [title]", ". ")
    .replaceAll(/\[[^\n]*?\]/g, "")
    .replaceAll("  ", " ");
}

interface Scene {
  /** The harness's context, before preprocessing. */
  readonly query: string;
  /** The paper's context, raw. */
  readonly ctx: string;
  /** Captions of one video, or steps of one article, belong together. */
  readonly cluster: string;
}

function sceneOf(row: z.output<typeof hubSchema>): Scene {
  const { activity_label, ctx_a, ctx_b, ctx, source_id } = row;
  const query = `${activity_label}: ${ctx_a} ${capitalize(ctx_b)}`;
  return { query, ctx, cluster: source_id ?? activity_label };
}

/** The reduced form puts the activity before the first ": ". */
function reducedSceneOf({ query }: { query: string }): Scene {
  const colon = query.indexOf(": ");
  return colon < 0
    ? { query, ctx: query, cluster: "" }
    : { query, ctx: query.slice(colon + 2), cluster: query.slice(0, colon) };
}

export const hellaswag: Benchmark = {
  title: "HellaSwag",
  source: "Zellers et al. 2019; Rowan/hellaswag validation; lm-evaluation-harness hellaswag 1",
  weighting: "size",
  normalized: true,

  question(row: unknown): Question {
    const isReduced = typeof row === "object" && row !== null && "query" in row;
    const parsed = isReduced ? reducedSchema.parse(row) : hubSchema.parse(row);
    const { query, ctx, cluster } = "query" in parsed ? reducedSceneOf(parsed) : sceneOf(parsed);
    const { endings, label: gold } = parsed;
    const context = preprocess(query);
    const harness = { gold, choices: endings.map((ending) => ({ context, continuation: ` ${preprocess(ending)}` })) };
    const stlm = goldFirst({ gold, choices: endings.map((ending) => ({ context: ctx, continuation: ` ${ending}` })) });
    return { subtask: "", cluster, wordings: { harness, stlm } };
  },
};
