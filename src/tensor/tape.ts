// One pass through a model: hands out memory, records what backward has to do, and takes the memory back.
// A node is one coarse op, so a training step has tens of nodes.

import type { Backend, DeviceBuffer, DType } from "../backend/backend.ts";
import type { DropoutKey, Kernels, Scalar } from "../backend/kernels.ts";
import type { BufferPool } from "./pool.ts";
import { elementCount, formatShape, type Shape } from "./shape.ts";
import { Tensor } from "./tensor.ts";

export interface TapeOptions {
  /** Record gradients. Default false: evaluation. */
  readonly gradients?: boolean;
  /** Present in training: where dropout masks come from. */
  readonly dropout?: TapeDropout | undefined;
}

export interface TapeDropout {
  readonly seed: number;
  readonly step: Scalar; // i32
  /** Counts within the step. */
  readonly microBatch: Scalar; // i32
  /** Sequences in each micro-batch before this one. */
  readonly microBatchSize?: number; // sequences
  /** Sequences in this micro-batch. */
  readonly sequences?: number; // 1
  /** Of every site, in place of the sites' own; where a site's own is 0 nothing is dropped. */
  readonly probability?: Scalar | undefined;
}

interface RecordOptions {
  /** Buffers that only this node's backward needs. */
  readonly saved?: readonly DeviceBuffer[];
  /** The op changed its input in place: the output's memory is the input's, and is given back with the input. */
  readonly inPlace?: boolean;
}

interface Node extends RecordOptions {
  readonly output: Tensor;
  readonly backward: (dy: DeviceBuffer) => void;
}

/**
 * Run `body` on a fresh tape and return its result. All memory that the tape handed out is in the pool again
 * afterwards, also when `body` throws; so no tensor may leave `body`.
 */
export function withTape<Result>(pool: BufferPool, options: TapeOptions, body: (tape: Tape) => Result): Result {
  const tape = new Tape(pool, options);
  try {
    return body(tape);
  } finally {
    tape.end();
  }
}

export class Tape {
  readonly backend: Backend;
  readonly kernels: Kernels;
  readonly gradients: boolean;
  private readonly nodes: Node[] = [];
  private readonly held = new Set<DeviceBuffer>();
  private sites = 0;
  /** The gradient that the node now running has handed on instead of giving it back. */
  private handedOn: DeviceBuffer | undefined;

  constructor(
    private readonly pool: BufferPool,
    private readonly options: TapeOptions = {},
  ) {
    this.backend = pool.backend;
    this.kernels = pool.backend.kernels;
    this.gradients = options.gradients ?? false;
  }

  /** Memory for the length of this tape, contents undefined. */
  acquire(length: number, dtype: DType = "f32"): DeviceBuffer {
    const buffer = this.pool.acquire(dtype, length);
    this.held.add(buffer);
    return buffer;
  }

  /** Give memory back before the tape ends. Nothing happens for a buffer that the tape no longer holds. */
  release(buffer: DeviceBuffer): void {
    if (this.held.delete(buffer)) this.pool.release(buffer);
  }

  /** Values from the host as a tensor; real numbers become activations, of the device's type. Throws a RangeError when their number is not the shape's. */
  input(values: Float32Array | Int32Array, shape: Shape, requiresGradient = false): Tensor {
    if (values.length !== elementCount(shape)) {
      throw new RangeError(`input: ${values.length} values do not fill ${formatShape(shape)}`);
    }
    const buffer = this.acquire(values.length, values instanceof Int32Array ? "i32" : this.backend.activations);
    this.backend.write(buffer, values);
    return new Tensor(this, buffer, shape, requiresGradient && this.gradients);
  }

  /** Values that are on the device already, in memory that the caller keeps. Throws a RangeError where they are too few. */
  borrow(buffer: DeviceBuffer, shape: Shape): Tensor {
    if (buffer.length < elementCount(shape)) {
      throw new RangeError(`borrow: ${buffer.length} values do not fill ${formatShape(shape)}`);
    }
    return new Tensor(this, buffer, shape, false);
  }

  /** An activation, or a result of another type, that an op is about to write. */
  output(shape: Shape, dtype: DType = this.backend.activations): Tensor {
    return new Tensor(this, this.acquire(elementCount(shape), dtype), shape, this.gradients);
  }

  /** The key of the next dropout site, or undefined where nothing is dropped. */
  nextDropout(probability: number): DropoutKey | undefined {
    const site = this.sites++;
    const { dropout } = this.options;
    if (!dropout || probability === 0) return undefined;
    return { ...dropout, probability: dropout.probability ?? probability, site };
  }

  /**
   * Remember how `output` was made: `backward` gets dLoss/dOutput and adds to the gradients of the op's inputs.
   * Without gradients nothing is kept, and `saved` memory is given back at once.
   */
  record(output: Tensor, backward: (dy: DeviceBuffer) => void, options: RecordOptions = {}): void {
    if (this.gradients) this.nodes.push({ output, backward, ...options });
    else for (const buffer of options.saved ?? []) this.release(buffer);
  }

  /** Without gradients: give back all that `body` took but its result, so that layers share memory. */
  tidy(body: () => Tensor): Tensor {
    if (this.gradients) return body();
    const before = this.held.size; // a Set keeps the order of insertion, and nothing older is released by ops
    const result = body();
    for (const buffer of [...this.held].slice(before)) if (buffer !== result.buffer) this.release(buffer);
    return result;
  }

  /**
   * Run the nodes last to first. Tensors whose gradient was set before (by `headLoss`, or by a caller) start it;
   * nodes that no gradient reaches are passed over. Memory is given back as soon as nothing can need it, so the
   * values of inner activations are gone afterwards.
   */
  backward(): void {
    for (let node = this.nodes.pop(); node; node = this.nodes.pop()) {
      const dy = node.output.gradient;
      if (dy) {
        this.handedOn = undefined;
        node.backward(dy);
        if (this.handedOn !== dy) this.release(dy);
      }
      for (const buffer of node.saved ?? []) this.release(buffer);
      if (!node.inPlace) this.release(node.output.buffer);
    }
  }

  /** Where an op whose kernel can add puts its gradient for `x`: written the first time, added later. */
  gradientOf(x: Tensor): { readonly buffer: DeviceBuffer; readonly accumulate: boolean } {
    if (x.gradient) return { buffer: x.gradient, accumulate: true };
    x.gradient = this.acquire(x.length, x.buffer.dtype);
    return { buffer: x.gradient, accumulate: false };
  }

  /** The same for a kernel that can only write: `write` fills the buffer it gets. */
  writeGradient(x: Tensor, write: (dx: DeviceBuffer) => void): void {
    const { buffer, accumulate } = this.gradientOf(x);
    if (!accumulate) {
      write(buffer);
      return;
    }
    const part = this.acquire(x.length, x.buffer.dtype);
    write(part);
    this.kernels.add({ y: buffer, a: buffer, b: part, length: x.length });
    this.release(part);
  }

  /** x gets the gradient of the node now running unchanged: its memory moves on where possible, nothing is copied. */
  passGradient(x: Tensor, dy: DeviceBuffer): void {
    if (!x.requiresGradient) return;
    if (x.gradient) {
      this.kernels.add({ y: x.gradient, a: x.gradient, b: dy, length: x.length });
    } else if (this.handedOn === dy) {
      x.gradient = this.acquire(x.length, x.buffer.dtype);
      this.kernels.copy({ y: x.gradient, x: dy, length: x.length });
    } else {
      x.gradient = dy;
      this.handedOn = dy;
    }
  }

  /** Give everything back. Called by `withTape`. */
  end(): void {
    this.nodes.length = 0;
    for (const buffer of this.held) this.pool.release(buffer);
    this.held.clear();
  }
}
