// Optimiser steps on any model that gives a loss per token. Everything random is drawn by counter from (seed, step,
// index), so weights, moments and the step number are the whole state.

import type { Backend } from "../backend/backend.ts";
import { type TokenSource, uniformWindows, type WindowSource } from "../data/sampler.ts";
import { UserError } from "../util/errors.ts";
import { AdamW } from "./adamw.ts";
import { DeviceStep, type Trainable } from "./device-step.ts";
import { dropoutShare } from "./dropout-schedules.ts";
import { outcomeOf, type StepResult, type StepSums } from "./outcome.ts";
import { schedules } from "./schedules.ts";
import type { StepNumbers } from "./step-scalars.ts";
import { requireTrainerOptions, type TrainerOptions } from "./trainer-options.ts";

export type { TokenSource, WindowSource } from "../data/sampler.ts";
export type { TrainerOptions } from "./trainer-options.ts";

export class Trainer {
  readonly optimizer: AdamW;
  private readonly device: DeviceStep;
  private readonly windows: WindowSource;
  private readonly sequences: number;
  private readonly microBatch: number;
  /** (sequences, T + 1) */
  private readonly drawn: Int32Array;
  private known = 0;
  private given = 0;
  /** The first step that was not made. */
  private divergence: StepResult | undefined;

  /**
   * The model must be allocated with gradients. From a stream, windows are drawn anywhere with equal probability. Throws a
   * UserError for options that no training can have and a model without gradients, and at the first step when the stream is
   * shorter than a window.
   */
  constructor(
    readonly backend: Backend,
    model: Trainable,
    source: TokenSource | WindowSource,
    readonly options: TrainerOptions,
  ) {
    requireTrainerOptions(options);
    const { batchTokens, contextWindow: T, dropout } = options;
    this.windows = "drawWindow" in source ? source : uniformWindows(source, options.seed);
    this.sequences = batchTokens / T;
    this.optimizer = new AdamW(backend, model.parameters(), options);
    if (this.optimizer.slots.length === 0) {
      throw new UserError("The model has no gradients, so no step would change it", {
        code: "NO_GRADIENTS",
        hint: "Allocate it for training: model.allocate(backend, { seed: 1, gradients: true }).",
      });
    }
    const microBatch = Math.min(options.microBatch, this.sequences);
    this.microBatch = microBatch;
    const numMicroBatches = Math.ceil(this.sequences / microBatch);
    const scheduledDropout = dropout !== undefined && dropout.schedule.shape !== "constant";
    const sizes = { ...options, microBatch, numMicroBatches, scheduledDropout };
    this.device = new DeviceStep(backend, model, this.optimizer, sizes);
    this.drawn = new Int32Array(this.sequences * (T + 1));
  }

  /** Updates made so far, as far as their results are known here. */
  get step(): number {
    return this.known;
  }

  /** Updates that the device has been given: ahead of `step` where results are still awaited. */
  get queuedSteps(): number {
    return this.given;
  }

  get tokens(): number {
    return this.known * this.options.batchTokens;
  }

  /** Whether `queueStep` comes back before the device is done, so that further steps can follow at once. */
  get queuesAhead(): boolean {
    return this.device.records;
  }

  /** Count on from `step`, for which weights and moments have been put in place. No result may be awaited any more. */
  resumeAt(step: number): void {
    this.known = step;
    this.given = step;
    this.divergence = undefined;
    this.device.reset();
  }

  /** One update of the weights, or none where loss or gradient have diverged; waits for it. No other may be awaited. */
  runStep(): StepResult {
    const queued = this.queue();
    return this.resultOf(queued, this.device.readSums());
  }

  /**
   * The same, given to the device; the promise says how it went. After a divergence nothing more is updated, also by steps that
   * were queued before it was known: these have its result too. Throws at once what the device cannot be given.
   */
  queueStep(): Promise<StepResult> {
    const queued = this.queue();
    return this.device.readSumsLater().then((sums) => this.resultOf(queued, sums));
  }

  /** Hand the next step to the device. */
  private queue(): StepNumbers {
    const { options, device } = this;
    const step = this.given;
    const learningRate = schedules[options.schedule](step, options);
    const numbers = { step, learningRate, maxLoss: this.maxLossAt(step), dropout: this.dropoutAt(step) };
    this.drawWindows(step);
    device.begin(numbers, this.drawn);
    for (let first = 0; first < this.sequences; first += this.microBatch) {
      device.accumulate(Math.min(this.microBatch, this.sequences - first));
    }
    device.update();
    this.given++;
    return numbers;
  }

  private resultOf({ step, learningRate, maxLoss }: StepNumbers, sums: StepSums): StepResult {
    if (this.divergence) return this.divergence;
    const { loss, gradientNorm, divergence } = outcomeOf(sums, { ...this.options, maxLoss });
    const diverged = divergence === undefined ? undefined : `${divergence} at step ${step + 1}`;
    const result = { step: step + 1, loss, learningRate, gradientNorm, diverged };
    if (diverged === undefined) {
      this.known = step + 1;
    } else {
      this.divergence = result;
      this.given = this.known;
    }
    return result;
  }

  /** All sequences of a step, each with the id behind its last: targets are ids one place on. */
  private drawWindows(step: number): void {
    const length = this.options.contextWindow + 1;
    for (let n = 0; n < this.sequences; n++) {
      this.windows.drawWindow(step, n, this.drawn.subarray(n * length, (n + 1) * length));
    }
  }

  private maxLossAt(step: number): number {
    const { maxLoss = Number.POSITIVE_INFINITY, warmupSteps } = this.options;
    return step < warmupSteps ? Number.POSITIVE_INFINITY : Math.fround(maxLoss);
  }

  /** Rounded as the device holds it, so that recorded and direct steps drop the same. */
  private dropoutAt(step: number): number {
    const { dropout, steps } = this.options;
    return dropout ? Math.fround(dropout.probability * dropoutShare(dropout.schedule, step, steps)) : 0;
  }
}
