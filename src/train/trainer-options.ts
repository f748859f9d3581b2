// What a trainer is told, and the check of it: a number that is missing or out of range would train to nothing, or not end.

import { didYouMean, UserError } from "../util/errors.ts";
import type { AdamWOptions } from "./adamw.ts";
import type { DropoutSchedule } from "./dropout-schedules.ts";
import { type ScheduleName, type ScheduleOptions, scheduleNames } from "./schedules.ts";

export interface TrainerOptions extends ScheduleOptions, AdamWOptions {
  readonly schedule: ScheduleName;
  /** Tokens of one sequence. */
  readonly contextWindow: number;
  /** Tokens of one step, a multiple of contextWindow, however they are cut into micro-batches. */
  readonly batchTokens: number;
  /** Sequences computed at once. Another number changes results by rounding alone. */
  readonly microBatch: number;
  /** Bound of the global gradient norm. */
  readonly clip: number;
  /** A loss above this after the warm-up is a divergence. */
  readonly maxLoss?: number | undefined;
  /** 0 to 2^32 - 1. */
  readonly seed: number;
  /** Dropout by step; where not given, every site keeps the probability that the model gives it. */
  readonly dropout?: { readonly probability: number; readonly schedule: DropoutSchedule } | undefined;
}

type Rule = readonly [holds: (value: number) => boolean, what: string];

const count: Rule = [(x) => Number.isInteger(x) && x >= 1, "a whole number above 0"];
const positive: Rule = [(x) => x > 0, "a number above 0"];
const notNegative: Rule = [(x) => x >= 0 && Number.isFinite(x), "a number, 0 or above"];
const share: Rule = [(x) => x >= 0 && x < 1, "a number from 0 to below 1"];

const RULES = {
  steps: count,
  contextWindow: count,
  batchTokens: count,
  microBatch: count,
  warmupSteps: [(x) => Number.isInteger(x) && x >= 0, "a whole number, 0 or above"],
  seed: [(x) => Number.isInteger(x) && x >= 0 && x < 2 ** 32, "a whole number from 0 to 2^32 - 1"],
  learningRate: [(x) => x > 0 && Number.isFinite(x), "a number above 0"],
  minLearningRate: notNegative,
  beta1: share,
  beta2: share,
  eps: positive,
  weightDecay: notNegative,
  clip: positive,
  maxLoss: positive,
} as const satisfies Partial<Record<keyof TrainerOptions, Rule>>;

/** Throws a UserError for the first option that is missing or out of range, or BAD_BATCH where no sequences fit the batch. */
export function requireTrainerOptions(options: TrainerOptions): void {
  for (const [name, [holds, what]] of Object.entries(RULES)) {
    const value = options[name as keyof typeof RULES];
    if (name === "maxLoss" && value === undefined) continue;
    if (typeof value !== "number" || !holds(value))
      throw refused(name, `is ${value} and must be ${what}`, "BAD_OPTION");
  }
  const { schedule, batchTokens, contextWindow: T } = options;
  if (!scheduleNames.includes(schedule)) {
    const known = `Schedules are: ${scheduleNames.join(", ")}.${didYouMean(schedule, scheduleNames)}`;
    throw refused("schedule", `"${schedule}" does not exist`, "UNKNOWN_SCHEDULE", known);
  }
  if (batchTokens % T !== 0) {
    const nearest = `Use ${Math.max(1, Math.round(batchTokens / T)) * T}.`;
    throw refused("batchTokens", `${batchTokens} is not a multiple of contextWindow ${T}`, "BAD_BATCH", nearest);
  }
}

function refused(name: string, what: string, code: string, hint?: string): UserError {
  return new UserError(`${name} ${what}`, { code, where: { path: `params.${name}` }, hint });
}
