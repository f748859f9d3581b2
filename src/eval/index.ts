// `stlm-pipeline/eval`: bits per byte and multiple-choice benchmarks for anything that gives log-probabilities.

/** From item rows to accuracies with standard errors. */
export { type AggregateOptions, aggregate, type BenchmarkMetrics } from "./aggregate.ts";
/** The benchmarks that can be scored, by name. */
export { type BenchmarkName, benchmarkNames, benchmarks } from "./benchmarks/index.ts";
/** Models that cannot know anything, to compare with. */
export { type ControlName, controlNames, uniform, unigram } from "./controls.ts";
/** The items of a `dataset` artifact. */
export { type BenchmarkItems, type BenchmarkSet, type ReadBenchmarksOptions, readBenchmarks } from "./dataset.ts";
/** What a question is, and how a protocol words it. */
export {
  type Benchmark,
  type Choice,
  type Item,
  makeItems,
  type Protocol,
  protocolNames,
  type Question,
} from "./item.ts";
/** The rows of an `evaluation` artifact, as Parquet. */
export { type DocumentRow, type ItemRow, readDocuments, readItems, writeDocuments, writeItems } from "./items.ts";
/** Bits per byte and perplexities of held-out documents. */
export { type HeldOutSplit, type Perplexity, perplexityOf, type ScoreSplitOptions, scoreSplit } from "./perplexity.ts";
/** One row an item: the log-probability of every choice and what follows from it. */
export { type ScoreOptions, scoreItems } from "./score.ts";
