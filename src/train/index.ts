// `stlm-pipeline/train`: optimizer steps on anything that gives a loss per token.

/** Adam with decoupled weight decay, on the device. */
export { AdamW, type AdamWOptions } from "./adamw.ts";
/** All that the rest of a run depends on, in a folder. */
export { Checkpoints } from "./checkpoint.ts";
/** The global gradient norm, and what it is clipped by. */
export { clipScale, globalNorm } from "./clip.ts";
/** What a trainer needs of a model, and what a step gives. */
export type { Trainable } from "./device-step.ts";
/** Dropout by step. */
export { type DropoutSchedule, dropoutShare } from "./dropout-schedules.ts";
/** A whole run with evaluations and checkpoints, from the last checkpoint on. */
export { type Evaluation, type LoopOptions, type LoopResult, train } from "./loop.ts";
/** The curve of a run: one record a step. */
export { type EvaluationMetrics, MetricsLog, type StepMetrics } from "./metrics.ts";
export type { StepResult } from "./outcome.ts";
/** Learning rates by step. */
export { type ScheduleName, type ScheduleOptions, scheduleNames, schedules } from "./schedules.ts";
/** Ids in memory as what a trainer draws its windows from. */
export { tokenArray } from "./token-array.ts";
/** One update at a time: `new Trainer(backend, model, source, options).runStep()`. */
export { type TokenSource, Trainer, type TrainerOptions, type WindowSource } from "./trainer.ts";
