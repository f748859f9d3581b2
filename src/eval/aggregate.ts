// From item rows to a benchmark's figures, as lm-evaluation-harness 0.4 aggregates metrics and groups
// (lm_eval/api/metrics.py: mean_stderr, pooled_sample_stderr, aggregate_subtask_metrics).

import type { ItemRow } from "./items.ts";

/** Figures of one benchmark. Accuracies are shares of 1, and null where a model gave no finite scores. */
export interface BenchmarkMetrics {
  readonly items: number;
  readonly accuracy: number | null;
  /** Standard error of `accuracy` by sampling of items within each subtask; null for fewer than two items. */
  readonly standardError: number | null;
  /** Accuracy if a tie counts as a draw among the tied, instead of for the first of them. */
  readonly accuracySplit: number | null;
  /** By log-probability per code point (`acc_norm`) and per UTF-8 byte: only where the harness reports them. */
  readonly accuracyNorm?: number | null;
  readonly accuracyNormStandardError?: number | null;
  readonly accuracyBytes?: number | null;
  /** Items whose highest score several choices share. */
  readonly ties: number;
  /** Accuracy of drawing a choice at random. */
  readonly chance: number;
  /** Items that lost context on the left to the model's window. */
  readonly truncated: number;
  /** Items without finite scores. */
  readonly unscored: number;
  /** Only where the benchmark has subtasks. */
  readonly subtasks?: Readonly<Record<string, { readonly items: number; readonly accuracy: number | null }>>;
}

export interface AggregateOptions {
  /** How subtasks make one figure: their plain mean, or their mean weighted by size. */
  readonly weighting: "plain" | "size";
  readonly normalized: boolean;
}

/** The figures of one benchmark's rows, of which there must be at least one. */
export function aggregate(rows: readonly ItemRow[], { weighting, normalized }: AggregateOptions): BenchmarkMetrics {
  const subtasks = bySubtask(rows);
  const scoresBy = (score: (row: ItemRow) => number | null) => [...subtasks.values()].map((group) => group.map(score));
  const correct = scoresBy((row) => share(row.correct));
  const correctNorm = scoresBy((row) => share(row.correct_norm));
  return {
    items: rows.length,
    accuracy: groupMean(correct, weighting),
    standardError: groupStandardError(correct),
    accuracySplit: groupMean(
      scoresBy((row) => row.credit),
      weighting,
    ),
    ...(normalized && {
      accuracyNorm: groupMean(correctNorm, weighting),
      accuracyNormStandardError: groupStandardError(correctNorm),
      accuracyBytes: groupMean(
        scoresBy((row) => share(row.correct_bytes)),
        weighting,
      ),
    }),
    ties: rows.filter(({ tie }) => tie).length,
    chance: groupMean(
      scoresBy((row) => 1 / row.num_choices),
      weighting,
    )!,
    truncated: rows.filter(({ truncated }) => truncated).length,
    unscored: rows.filter(({ correct }) => correct === null).length,
    ...(subtasks.size > 1 && { subtasks: subtaskFigures(subtasks) }),
  };
}

function subtaskFigures(subtasks: ReadonlyMap<string, readonly ItemRow[]>) {
  return Object.fromEntries(
    [...subtasks].map(([name, group]) => {
      const accuracy = groupMean([group.map((row) => share(row.correct))], "size");
      return [name, { items: group.length, accuracy }];
    }),
  );
}

function bySubtask(rows: readonly ItemRow[]): Map<string, ItemRow[]> {
  const groups = new Map<string, ItemRow[]>();
  for (const row of rows) {
    const group = groups.get(row.subtask);
    if (group) group.push(row);
    else groups.set(row.subtask, [row]);
  }
  return groups;
}

function share(correct: boolean | null): number | null {
  return correct === null ? null : Number(correct);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function isComplete(values: readonly (number | null)[]): values is readonly number[] {
  return !values.includes(null);
}

/** The mean of subtasks' means, plain or weighted by size; null when any score is missing. */
export function groupMean(groups: readonly (readonly (number | null)[])[], weighting: "plain" | "size"): number | null {
  if (!groups.every(isComplete)) return null;
  if (weighting === "size") return sum(groups.map(sum)) / sum(groups.map(({ length }) => length));
  return sum(groups.map((scores) => sum(scores) / scores.length)) / groups.length;
}

/**
 * The harness's pooled standard error, sqrt(sum_i (n_i - 1) n_i se_i^2 / (N - k) / N) over k groups of n_i scores,
 * where n_i se_i^2 is the sample variance; with one group of 0/1 scores it is sqrt(p (1 - p) / (n - 1)).
 * Null when a score is missing, or when every group has but one.
 */
export function groupStandardError(groups: readonly (readonly (number | null)[])[]): number | null {
  if (!groups.every(isComplete)) return null;
  const total = sum(groups.map(({ length }) => length));
  if (total <= groups.length) return null;
  return Math.sqrt(sum(groups.map(squaredDeviations)) / (total - groups.length) / total);
}

/** (n - 1) times the sample variance. */
function squaredDeviations(scores: readonly number[]): number {
  const mean = sum(scores) / scores.length;
  return sum(scores.map((score) => (score - mean) ** 2));
}
