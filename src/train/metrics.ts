// The curve of a run: one JSON line a step and one an evaluation. Holds only what the same run always gives again,
// so no times and no speeds.

import { canonicalJson } from "../util/canonical-json.ts";

/** After an update: `loss` is of the weights before it, in nats per token; null where it is not a number. */
export interface StepMetrics {
  readonly step: number;
  /** Tokens seen so far. */
  readonly tokens: number;
  readonly loss: number | null;
  readonly lr: number;
  /** Before clipping. */
  readonly grad_norm: number | null;
}

export interface EvaluationMetrics {
  readonly step: number;
  readonly tokens: number;
  /** Nats per token. */
  readonly val_loss: number | null;
  readonly val_bits_per_byte: number | null;
}

/** NaN and infinities have no JSON. */
export function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

type Metrics = StepMetrics | EvaluationMetrics;

export class MetricsLog {
  private readonly records: Metrics[];

  /** Continues the text of an earlier part of the run. */
  constructor(text = "") {
    this.records = text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Metrics);
  }

  append(record: Metrics): void {
    this.records.push(record);
  }

  /** The evaluation after `step`, if it has been made. */
  evaluationAt(step: number): EvaluationMetrics | undefined {
    const found = this.records.findLast((record) => "val_loss" in record);
    return found?.step === step && "val_loss" in found ? found : undefined;
  }

  /** Mean training loss of the last `steps` steps that have one; undefined where none has. */
  meanLoss(steps: number): number | undefined {
    const losses = this.records
      .flatMap((record) => ("loss" in record && record.loss !== null ? [record.loss] : []))
      .slice(-steps);
    return losses.length === 0 ? undefined : losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  }

  /** The file so far, every line ended. */
  text(): string {
    return this.records.map((record) => `${canonicalJson(record)}\n`).join("");
  }
}
