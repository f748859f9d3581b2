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

export class MetricsLog {
  private readonly lines: string[];

  /** Continues the text of an earlier part of the run. */
  constructor(text = "") {
    this.lines = text.split("\n").filter((line) => line !== "");
  }

  append(record: StepMetrics | EvaluationMetrics): void {
    this.lines.push(canonicalJson(record));
  }

  /** Mean training loss of the last `steps` steps that have one; undefined where none has. */
  meanLoss(steps: number): number | undefined {
    const losses: number[] = [];
    for (let i = this.lines.length - 1; i >= 0 && losses.length < steps; i--) {
      const { loss } = JSON.parse(this.lines[i]!) as Partial<StepMetrics>;
      if (typeof loss === "number") losses.push(loss);
    }
    return losses.length === 0 ? undefined : losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  }

  /** The file so far, every line ended. */
  text(): string {
    return this.lines.map((line) => `${line}\n`).join("");
  }
}
