// Optimiser steps on any model that gives a loss per token. Everything random is drawn by counter from (seed, step,
// index), so weights, moments and the step number are the whole state.

import type { Backend, DeviceBuffer } from "../backend/backend.ts";
import { windowStart } from "../data/windows.ts";
import type { NamedParameter } from "../nn/module.ts";
import { BufferPool } from "../tensor/pool.ts";
import { withTape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { UserError } from "../util/errors.ts";
import { AdamW, type AdamWOptions } from "./adamw.ts";
import { clipScale, globalNorm } from "./clip.ts";
import { type ScheduleName, type ScheduleOptions, schedules } from "./schedules.ts";

/** What the trainer needs of a model. */
export interface Trainable {
  parameters(): NamedParameter[];
  /** ids and targets (B, T) -> nats per target; starts the gradient of gradientScale * their sum (see `headLoss`). */
  losses(ids: Tensor, targets: Tensor, gradientScale: number): Tensor;
}

/** What the trainer needs of a data set: one long stream of token ids. */
export interface TokenSource {
  readonly tokens: number;
  /** `length` ids from `start` on, written to `out` where given. */
  readWindow(start: number, length: number, out?: Int32Array): Int32Array;
}

export interface TrainerOptions extends ScheduleOptions, AdamWOptions {
  readonly schedule: ScheduleName;
  /** Tokens of one sequence. */
  readonly contextWindow: number;
  /** Tokens of one step, a multiple of contextWindow, however they are cut into micro-batches. */
  readonly batchTokens: number;
  /** Sequences computed at once. */
  readonly microBatch: number;
  /** Bound of the global gradient norm. */
  readonly clip: number;
  /** A loss above this after the warm-up is a divergence. */
  readonly maxLoss?: number | undefined;
  readonly seed: number;
}

export interface StepResult {
  /** Nats per token before the update. */
  readonly loss: number;
  readonly learningRate: number;
  /** Global norm before clipping. */
  readonly gradientNorm: number;
  /** Why the update was not made; the weights are those of the step before. */
  readonly diverged: string | undefined;
}

export class Trainer {
  readonly optimizer: AdamW;
  /** Updates made so far. */
  step = 0;
  private readonly pool: BufferPool;
  private readonly sequences: number;
  /** Sums of losses, one a micro-batch; then squared gradient norms, one a parameter. */
  private readonly scratch: DeviceBuffer;
  private readonly window: Int32Array;
  private readonly ids: Int32Array;
  private readonly targets: Int32Array;

  /**
   * The model must be allocated with gradients. Throws a UserError when the batch cannot be cut into sequences, and at the first
   * step when the stream is shorter than a window.
   */
  constructor(
    readonly backend: Backend,
    private readonly model: Trainable,
    private readonly source: TokenSource,
    readonly options: TrainerOptions,
  ) {
    const { batchTokens, contextWindow: T, microBatch } = options;
    if (batchTokens % T !== 0) {
      throw new UserError(`batchTokens ${batchTokens} is not a multiple of contextWindow ${T}`, {
        code: "BAD_BATCH",
        where: { path: "params.batchTokens" },
        hint: `Use ${Math.max(1, Math.round(batchTokens / T)) * T}.`,
      });
    }
    this.sequences = batchTokens / T;
    this.optimizer = new AdamW(backend, model.parameters(), options);
    this.pool = new BufferPool(backend);
    const microBatches = Math.ceil(this.sequences / microBatch);
    this.scratch = backend.allocate("f32", Math.max(microBatches, this.optimizer.slots.length));
    this.window = new Int32Array(T + 1);
    this.ids = new Int32Array(Math.min(microBatch, this.sequences) * T);
    this.targets = new Int32Array(this.ids.length);
  }

  get tokens(): number {
    return this.step * this.options.batchTokens;
  }

  /** One update of the weights, or none where loss or gradient have diverged. */
  runStep(): StepResult {
    const { options, optimizer } = this;
    const learningRate = schedules[options.schedule](this.step, options);
    optimizer.zeroGradients();
    const loss = this.accumulateGradients();
    const gradients = optimizer.slots.map((slot) => slot.gradient);
    const gradientNorm = globalNorm(this.backend, gradients, this.scratch);
    const diverged = this.divergence(loss, gradientNorm);
    if (diverged === undefined) {
      optimizer.update(this.step + 1, learningRate, clipScale(gradientNorm, options.clip));
      this.step++;
    }
    return { loss, learningRate, gradientNorm, diverged };
  }

  /** Forward and backward over all micro-batches; returns the mean loss. */
  private accumulateGradients(): number {
    const { batchTokens, contextWindow: T, microBatch, seed } = this.options;
    const { kernels } = this.backend;
    let count = 0;
    for (let first = 0; first < this.sequences; first += microBatch, count++) {
      const B = Math.min(microBatch, this.sequences - first);
      this.drawWindows(first, B);
      const index = count;
      withTape(this.pool, { gradients: true, dropout: { seed, step: this.step, microBatch: index } }, (tape) => {
        const ids = tape.input(this.ids.subarray(0, B * T), [B, T]);
        const targets = tape.input(this.targets.subarray(0, B * T), [B, T]);
        const losses = this.model.losses(ids, targets, 1 / batchTokens);
        kernels.sum({ out: this.scratch, index, x: losses.buffer, length: B * T });
        tape.backward();
      });
    }
    let sum = 0;
    for (const part of this.backend.read(this.scratch, 0, count)) sum += part;
    return sum / batchTokens;
  }

  /** Fill ids and targets with sequences first..first+B-1 of this step. */
  private drawWindows(first: number, B: number): void {
    const { contextWindow: T, seed } = this.options;
    for (let b = 0; b < B; b++) {
      const start = windowStart(seed, this.step, first + b, this.source.tokens, T + 1);
      const window = this.source.readWindow(start, T + 1, this.window);
      this.ids.set(window.subarray(0, T), b * T);
      this.targets.set(window.subarray(1, T + 1), b * T);
    }
  }

  private divergence(loss: number, gradientNorm: number): string | undefined {
    const { maxLoss, warmupSteps } = this.options;
    const at = `at step ${this.step + 1}`;
    if (!Number.isFinite(loss)) return `the loss is ${loss} ${at}`;
    if (!Number.isFinite(gradientNorm)) return `the gradient norm is ${gradientNorm} ${at}`;
    if (maxLoss !== undefined && this.step >= warmupSteps && loss > maxLoss) {
      return `the loss ${loss.toFixed(3)} is above the bound ${maxLoss} ${at}`;
    }
    return undefined;
  }
}
