// A whole evaluation: both held-out splits and every benchmark, as rows and as the figures of metrics.json.

import { aggregate, type BenchmarkMetrics } from "./aggregate.ts";
import { benchmarks as known } from "./benchmarks/index.ts";
import type { BenchmarkSet } from "./dataset.ts";
import type { Protocol } from "./item.ts";
import type { DocumentRow, ItemRow } from "./items.ts";
import type { HeldOutSplit, Perplexity } from "./perplexity.ts";
import { perplexityOf, scoreSplit } from "./perplexity.ts";
import type { Encoder } from "./requests.ts";
import { scoreItems } from "./score.ts";
import type { Subject, SubjectInfo } from "./subject.ts";

/** `note` says how the items differ from the published ones; absent where they do not. */
export interface NotedMetrics extends BenchmarkMetrics {
  readonly note?: string;
}

/** metrics.json. */
export interface EvaluationMetrics {
  readonly subject: SubjectInfo;
  readonly protocol: Protocol;
  readonly validation: Perplexity;
  readonly test: Perplexity;
  readonly benchmarks: Readonly<Record<string, NotedMetrics>>;
  /** Benchmarks of the data set that were not scored, with the reason. */
  readonly skipped: Readonly<Record<string, string>>;
}

export interface ExamineOptions {
  readonly protocol: Protocol;
  readonly tokenizer: Encoder;
  readonly shards: { split(name: "validation" | "test"): HeldOutSplit & { readonly tokens: number } };
  readonly benchmarks: BenchmarkSet;
  readonly signal: AbortSignal;
  readonly log: {
    progress(done: number, total: number, unit: string, note?: string): void;
    measure(name: string, value: number): void;
  };
}

export interface Examined {
  readonly metrics: EvaluationMetrics;
  readonly items: readonly ItemRow[];
  readonly documents: readonly DocumentRow[];
}

/** Throws the signal's reason when aborted. */
export async function examine({ model, info }: Subject, options: ExamineOptions): Promise<Examined> {
  const { protocol, tokenizer, shards, benchmarks, signal, log } = options;
  const started = performance.now();
  const score = (name: "validation" | "test") => {
    const split = shards.split(name);
    const onProgress = (tokens: number) => log.progress(tokens, split.tokens, "tokens", name);
    return scoreSplit(model, split, { endOfText: tokenizer.endOfText, signal, onProgress });
  };
  const validation = await score("validation");
  const test = await score("test");
  const heldOutDone = performance.now();

  const items: ItemRow[] = [];
  const figures: Record<string, NotedMetrics> = {};
  for (const { task, items: questions, note } of benchmarks.tasks) {
    const onProgress = (done: number, total: number) => log.progress(done, total, "sequences", task);
    const rows = await scoreItems(model, questions, { protocol, tokenizer }, { signal, onProgress });
    items.push(...rows);
    figures[task] = { ...aggregate(rows, known[task]), ...(note !== undefined && { note }) };
  }
  log.measure("held_out_seconds", (heldOutDone - started) / 1000);
  log.measure("benchmark_seconds", (performance.now() - heldOutDone) / 1000);
  const metrics = {
    subject: info,
    protocol,
    validation: perplexityOf(validation),
    test: perplexityOf(test),
    benchmarks: figures,
    skipped: benchmarks.skipped,
  };
  return { metrics, items, documents: [...validation, ...test] };
}
