// The items of a benchmark data set: its files read, worded for a protocol, and cut to a subset if asked.

import path from "node:path";
import { ZodError } from "zod";
import { type ManifestFile, readDatasetManifest } from "../data/datasets/manifest.ts";
import { didYouMean, UserError } from "../util/errors.ts";
import { gsm8k } from "./benchmarks/gsm8k.ts";
import { type BenchmarkName, benchmarkNames, benchmarks, isBenchmarkName } from "./benchmarks/index.ts";
import { type Benchmark, type Item, makeItems, type Protocol, type Question } from "./item.ts";
import { readRows } from "./rows.ts";

/** Benchmarks that data sets may hold and that need something else than scores of given answers. */
const NOT_SCORED: Readonly<Record<string, string>> = {
  gsm8k: "its answers have to be generated, and generation is not scored",
};

/** Of these, the ones whose items can be read. */
const unscored: Readonly<Record<string, typeof gsm8k>> = { gsm8k };

export interface BenchmarkItems {
  readonly task: BenchmarkName;
  readonly items: readonly Item[];
  /** How the items differ from the published ones, where the data set says so. */
  readonly note?: string;
}

export interface BenchmarkSet {
  /** In the order of the benchmarks, whatever the order of the files. */
  readonly tasks: readonly BenchmarkItems[];
  /** Benchmarks in the data set that were left out, with the reason. */
  readonly skipped: Readonly<Record<string, string>>;
}

export interface ReadBenchmarksOptions {
  readonly protocol: Protocol;
  /** Only these. Default: all that the data set holds. */
  readonly tasks?: readonly BenchmarkName[] | undefined;
  /** At most so many items of each: those with the smallest ids, a choice that no order of files can move. */
  readonly maxItems?: number | undefined;
}

/** Throws a UserError for a task that the data set lacks, and for files and rows that cannot be read. */
export async function readBenchmarks(folder: string, options: ReadBenchmarksOptions): Promise<BenchmarkSet> {
  const { name, files } = readDatasetManifest(folder);
  const held = new Set(files.flatMap(({ benchmark }) => benchmark ?? []));
  for (const task of options.tasks ?? []) {
    if (!held.has(task)) throw missingTask(task, name, held);
  }
  const wanted = benchmarkNames.filter((task) => held.has(task) && (options.tasks?.includes(task) ?? true));
  const tasks: BenchmarkItems[] = [];
  for (const task of wanted) {
    const own = files.filter(({ benchmark }) => benchmark === task);
    const notes = new Set(own.flatMap(({ note }) => note ?? []));
    const questions = await readAllQuestions(folder, own, benchmarks[task]);
    const items = makeItems(task, questions, options.protocol);
    if (items.length === 0) continue;
    tasks.push({
      task,
      items: smallestIds(items, options.maxItems),
      ...(notes.size > 0 && { note: [...notes].join(" ") }),
    });
  }
  const unknown = [...held].filter((benchmark) => !isBenchmarkName(benchmark)).sort();
  const reason = (benchmark: string) => NOT_SCORED[benchmark] ?? "no benchmark of this name is known";
  return { tasks, skipped: Object.fromEntries(unknown.map((benchmark) => [benchmark, reason(benchmark)])) };
}

/** The items of benchmarks that the data set holds and nobody scores: for whoever asks only what they say. */
export async function readUnscored(folder: string): Promise<{ task: string; items: readonly Item[] }[]> {
  const { files } = readDatasetManifest(folder);
  const found: { task: string; items: readonly Item[] }[] = [];
  for (const [task, benchmark] of Object.entries(unscored)) {
    const own = files.filter((file) => file.benchmark === task);
    if (own.length === 0) continue;
    found.push({ task, items: makeItems(task, await readAllQuestions(folder, own, benchmark), "stlm") });
  }
  return found;
}

type RowReader = Pick<Benchmark, "title" | "source" | "question">;

async function readAllQuestions(
  folder: string,
  files: readonly ManifestFile[],
  benchmark: RowReader,
): Promise<Question[]> {
  const questions: Question[] = [];
  for (const file of files) questions.push(...(await readQuestions(folder, file, benchmark)));
  return questions;
}

async function readQuestions(folder: string, file: ManifestFile, benchmark: RowReader): Promise<Question[]> {
  const rows = await readRows(path.join(folder, "files", file.path), file.format);
  return rows.map((row, index) => {
    try {
      return benchmark.question(row);
    } catch (cause) {
      if (!(cause instanceof ZodError)) throw cause;
      const [issue] = cause.issues;
      const column = issue!.path.join(".");
      throw new UserError(`${file.path}, row ${index + 1}, is no item of ${benchmark.title}: ${issue!.message}.`, {
        code: "BENCHMARK_ROW",
        where: { file: file.path, line: index + 1, path: column },
        hint: `Its columns must be those of the published set (${benchmark.source}).`,
        cause,
      });
    }
  });
}

function smallestIds(items: readonly Item[], maxItems = items.length): readonly Item[] {
  const kept = new Set([...items.map(({ id }) => id)].sort().slice(0, maxItems));
  return items.filter(({ id }) => kept.has(id));
}

function missingTask(task: string, dataset: string, held: ReadonlySet<string>): UserError {
  const scored = [...held].filter(isBenchmarkName);
  return new UserError(`The data set "${dataset}" holds no items of ${task}.`, {
    code: "BENCHMARK_MISSING",
    where: { path: "tasks" },
    hint: `It holds: ${scored.join(", ") || "no benchmark that can be scored"}.${didYouMean(task, scored)}`,
  });
}
