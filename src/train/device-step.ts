// The device's work of one step: forward and backward of each micro-batch, then the update. A device that records gets
// each of the two once and replays it, with the numbers that change read from its memory, so that a step needs no answer
// from it; elsewhere the very same functions run each time.

import type { Backend, DeviceBuffer, Recording } from "../backend/backend.ts";
import type { Scalar } from "../backend/kernels.ts";
import type { NamedParameter } from "../nn/module.ts";
import { BufferPool } from "../tensor/pool.ts";
import { withTape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { AdamW } from "./adamw.ts";
import { outcomeOf, type StepSums } from "./outcome.ts";
import { type StepNumbers, StepScalars } from "./step-scalars.ts";

/** What the trainer needs of a model. */
export interface Trainable {
  parameters(): NamedParameter[];
  /**
   * ids and targets (B, T) -> nats per target; starts the gradient of gradientScale * their sum (see `headLoss`). Reads no value
   * from the device and does the same work for every batch of one shape: it may be recorded and replayed.
   */
  losses(ids: Tensor, targets: Tensor, gradientScale: number): Tensor;
}

export interface DeviceStepOptions {
  readonly contextWindow: number;
  readonly batchTokens: number;
  /** Sequences of one micro-batch; the last may have fewer. */
  readonly microBatch: number;
  readonly numMicroBatches: number;
  readonly clip: number;
  readonly seed: number;
  /** Dropout sites get their probability from the step's numbers. */
  readonly scheduledDropout: boolean;
}

/** Of the four numbers that `clipScale` writes: what gradients are multiplied by, and the flag that stays. */
const SCALE = 2;
const HALTED = 3;

export class DeviceStep {
  private readonly pool: BufferPool;
  private readonly scalars: StepScalars;
  /** Of the whole step, (batchTokens / T, T + 1); each micro-batch cuts its ids and targets out of it. */
  private readonly windows: DeviceBuffer;
  private readonly ids: DeviceBuffer;
  private readonly targets: DeviceBuffer;
  /** Sums of losses, one a micro-batch; then sums of squared gradients, one a parameter. */
  private readonly sums: DeviceBuffer;
  /** See `clipScale`. */
  private readonly decision: DeviceBuffer;
  private readonly recordings = new Map<string, Recording>();
  /** Where the gradients may not be zero: at first, and after a step that was broken off. */
  private unclean = true;
  /** Of the step in hand. */
  private maxLoss = Number.POSITIVE_INFINITY;

  constructor(
    private readonly backend: Backend,
    private readonly model: Trainable,
    private readonly optimizer: AdamW,
    private readonly options: DeviceStepOptions,
  ) {
    const { microBatch, contextWindow, batchTokens, numMicroBatches } = options;
    this.pool = new BufferPool(backend, { passThrough: this.records });
    this.scalars = new StepScalars(backend, this.records);
    this.windows = backend.allocate("i32", (batchTokens / contextWindow) * (contextWindow + 1));
    this.ids = backend.allocate("i32", microBatch * contextWindow);
    this.targets = backend.allocate("i32", microBatch * contextWindow);
    this.sums = backend.allocate("f32", numMicroBatches + optimizer.slots.length);
    this.decision = backend.allocate("f32", 4);
  }

  /** Whether steps may be queued without waiting for their results. */
  get records(): boolean {
    return this.backend.record !== undefined;
  }

  /** `windows`: T + 1 ids of each sequence of the step. All that the device is told: what follows reads it there. */
  begin(numbers: StepNumbers, windows: Int32Array): void {
    if (this.unclean) this.optimizer.zeroGradients();
    this.unclean = true;
    this.maxLoss = numbers.maxLoss;
    this.scalars.setStep(numbers);
    this.backend.write(this.windows, windows);
  }

  /** Forward and backward of the step's next B sequences. */
  accumulate(B: number): void {
    this.perform(`micro ${B}`, () => this.forwardBackward(B)); // another shape is other work
  }

  /** Clip and update, or leave everything as it is where loss or norm have diverged, in this step or in one before. */
  update(): void {
    this.perform("update", () => {
      const { numMicroBatches } = this.options;
      const xs = this.optimizer.slots.map((slot) => slot.gradient);
      this.backend.kernels.sumSquares({ out: this.sums, first: numMicroBatches, xs });
      this.optimizer.update(this.scalars.get("update"), this.scalars.get("learningRate"), this.gradientScale());
      this.optimizer.zeroGradients();
    });
    this.unclean = false;
  }

  /** The sums that decided the last update; waits for the device. */
  readSums(): StepSums {
    return this.split(this.backend.read(this.sums));
  }

  /** The same without waiting: of the update queued last, whatever is queued afterwards. */
  async readSumsLater(): Promise<StepSums> {
    return this.split(await this.backend.readLater(this.sums));
  }

  /** After weights were loaded: what an earlier divergence left behind no longer counts. */
  reset(): void {
    this.unclean = true;
    this.backend.write(this.decision, Float32Array.of(0), HALTED);
  }

  private forwardBackward(B: number): void {
    const { contextWindow: T, batchTokens, microBatch: size, seed, scheduledDropout } = this.options;
    const { scalars, windows } = this;
    const [step, microBatch] = [scalars.get("step"), scalars.get("microBatch")];
    const probability = scheduledDropout ? scalars.get("dropout") : undefined;
    this.backend.kernels.cutWindows({ ids: this.ids, targets: this.targets, windows, microBatch, size, B, T });
    const dropout = { seed, step, microBatch, microBatchSize: size, sequences: B, probability };
    withTape(this.pool, { gradients: true, dropout }, (tape) => {
      const ids = tape.borrow(this.ids, [B, T]);
      const targets = tape.borrow(this.targets, [B, T]);
      const losses = this.model.losses(ids, targets, 1 / batchTokens);
      this.backend.kernels.sum({ out: this.sums, index: microBatch, x: losses.buffer, length: B * T });
      tape.backward();
    });
    scalars.nextMicroBatch();
  }

  /** From the device where the step is recorded; elsewhere from here, where it need not be rounded to float32. */
  private gradientScale(): Scalar {
    const { numMicroBatches: numLosses, batchTokens: numTokens, clip } = this.options;
    if (!this.records) return outcomeOf(this.readSums(), { ...this.options, maxLoss: this.maxLoss }).gradientScale;
    const out = this.decision;
    const numSquares = this.optimizer.slots.length;
    const maxLoss = this.scalars.get("maxLoss");
    this.backend.kernels.clipScale({ out, sums: this.sums, numLosses, numSquares, numTokens, clip, maxLoss });
    return { buffer: out, index: SCALE };
  }

  private perform(name: string, work: () => void): void {
    if (!this.backend.record) {
      work();
      return;
    }
    let recording = this.recordings.get(name);
    if (!recording) {
      recording = this.backend.record(work);
      this.recordings.set(name, recording);
    }
    recording.replay();
  }

  private split(sums: Float32Array | Int32Array): StepSums {
    const { numMicroBatches } = this.options;
    const values = sums as Float32Array;
    return { losses: values.subarray(0, numMicroBatches), squares: values.subarray(numMicroBatches) };
  }
}
