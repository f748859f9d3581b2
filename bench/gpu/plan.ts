// What the GPU benchmark measures, the most telling first: it ends at a deadline, and what was not reached is named in its result.

import type { GemmChoice } from "../../src/backend/cuda/gemm/choice.ts";
import type { BenchModel } from "./models.ts";

export interface Task {
  readonly engine: "stlm" | "torch" | "torch --compile";
  readonly model: BenchModel;
  readonly microBatch: number;
  readonly accumulate: number;
  readonly gemm?: GemmChoice;
  readonly profile?: boolean;
  /** Of the clock, as far as experience goes: a task that would end after the deadline is left out. */
  readonly expectedSeconds: number;
}

/** Sequences of one step: 245,760 tokens of Table 1, 65,536 of the 10m profile. */
const SEQUENCES: Readonly<Record<BenchModel, number>> = { "10m": 128, "50m": 480, "100m": 480, tiny: 4 };

function ours(model: BenchModel, microBatch: number, more: { gemm?: GemmChoice; profile?: boolean } = {}): Task {
  const accumulate = more.profile ? 1 : SEQUENCES[model] / microBatch;
  return { engine: "stlm", model, microBatch, accumulate, expectedSeconds: 12, ...more };
}

function peer(model: BenchModel, microBatch: number, compile: boolean): Task {
  const accumulate = SEQUENCES[model] / microBatch;
  const engine = compile ? "torch --compile" : "torch";
  return { engine, model, microBatch, accumulate, expectedSeconds: compile ? 60 : 20 };
}

/** Providers beside the one that the device chooses by itself. */
const PROVIDERS: readonly GemmChoice[] = ["own", "cublaslt", "tuned"];

export const PLAN: readonly Task[] = [
  ours("50m", 48),
  peer("50m", 48, true),
  ours("10m", 32),
  peer("10m", 32, true),
  ours("50m", 48, { profile: true }),
  ...PROVIDERS.map((gemm) => ours("50m", 48, { gemm })),
  peer("50m", 48, false),
  ours("50m", 24),
  ours("50m", 96),
  ours("50m", 240),
  ours("10m", 64),
  ours("10m", 128),
  ours("100m", 48),
  peer("100m", 48, true),
  peer("10m", 32, false),
  peer("50m", 96, true),
  peer("10m", 128, true),
  ours("10m", 32, { profile: true }),
  ...PROVIDERS.map((gemm) => ours("10m", 32, { gemm })),
  ours("100m", 24),
  ours("100m", 32),
  ours("100m", 48, { profile: true }),
  peer("50m", 24, true),
  peer("100m", 48, false),
];

/** To try the program where there is no GPU but the simulated one. */
export const TRIAL: readonly Task[] = [
  ours("tiny", 2),
  ours("tiny", 4, { gemm: "own" }),
  ours("tiny", 2, { profile: true }),
  peer("tiny", 2, true),
  peer("tiny", 2, false),
];
