// The benchmarks that can be scored. A key is the `benchmark` of a data set's file and the name in pipeline.yaml.

import type { Benchmark } from "../item.ts";
import { arcChallenge } from "./arc-challenge.ts";
import { arcEasy } from "./arc-easy.ts";
import { blimp } from "./blimp.ts";
import { hellaswag } from "./hellaswag.ts";
import { mmlu } from "./mmlu.ts";
import { winogrande } from "./winogrande.ts";

export const benchmarks = {
  blimp,
  hellaswag,
  "arc-easy": arcEasy,
  "arc-challenge": arcChallenge,
  winogrande,
  mmlu,
} satisfies Record<string, Benchmark>;

export type BenchmarkName = keyof typeof benchmarks;

export const benchmarkNames = Object.keys(benchmarks) as [BenchmarkName, ...BenchmarkName[]];

/** Whether a data set's `benchmark` is one that we can score. */
export function isBenchmarkName(name: string): name is BenchmarkName {
  return Object.hasOwn(benchmarks, name);
}
