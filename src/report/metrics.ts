// The metrics that a report knows: how each is printed and which way is better. A key is the name in pipeline.yaml,
// in SQL and in tables. Accuracies are in percent, so an effect of 1 is one point.

export interface Metric {
  readonly label: string;
  readonly digits: number;
  /** Decimals of a difference between two models. */
  readonly effectDigits: number;
  readonly better: "lower" | "higher";
  readonly unit: string;
}

const accuracy = (label: string): Metric => ({ label, digits: 1, effectDigits: 2, better: "higher", unit: "points" });
const bits = (label: string): Metric => ({ label, digits: 4, effectDigits: 4, better: "lower", unit: "bits per byte" });

export const metrics = {
  val_bits_per_byte: bits("Validation bits/byte"),
  test_bits_per_byte: bits("Test bits/byte"),
  blimp: accuracy("BLiMP"),
  hellaswag: accuracy("HellaSwag"),
  hellaswag_norm: accuracy("HellaSwag (norm.)"),
  "arc-easy": accuracy("ARC-Easy"),
  "arc-easy_norm": accuracy("ARC-Easy (norm.)"),
  "arc-challenge": accuracy("ARC-Challenge"),
  "arc-challenge_norm": accuracy("ARC-Challenge (norm.)"),
  winogrande: accuracy("WinoGrande"),
  mmlu: accuracy("MMLU"),
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof metrics;

export const metricNames = Object.keys(metrics) as [MetricName, ...MetricName[]];

/** Scored by length-normalised log-probability too, as in lm-evaluation-harness. */
export const normalizedTasks = ["hellaswag", "arc-easy", "arc-challenge"] as const;

/** One figure is the plain mean over subtasks, as in lm-evaluation-harness; elsewhere every item weighs the same. */
export const macroTasks = ["blimp"] as const;

export function isMetric(name: string): name is MetricName {
  return Object.hasOwn(metrics, name);
}

export function isAccuracy(name: MetricName): boolean {
  return metrics[name].unit === "points";
}
