// What ops work on: activations, which live for one step on a tape, and parameters, which stay.

import type { DeviceBuffer } from "../backend/backend.ts";
import type { Initialiser } from "./random.ts";
import { elementCount, type Shape } from "./shape.ts";
import type { Tape } from "./tape.ts";

/** An activation, row-major. Made by a tape or an op; its memory returns to the pool when the tape ends. */
export class Tensor {
  /** dLoss/dThis during Tape.backward; undefined until the first consumer has written it. */
  gradient: DeviceBuffer | undefined;

  constructor(
    readonly tape: Tape,
    readonly buffer: DeviceBuffer,
    readonly shape: Shape,
    readonly requiresGradient: boolean,
  ) {}

  get length(): number {
    return elementCount(this.shape);
  }

  /** Size of the last axis. */
  get width(): number {
    return this.shape[this.shape.length - 1] ?? 1;
  }

  /** Product of all axes but the last. */
  get rows(): number {
    return this.length / this.width;
  }

  /** A copy of the values on the host. Not valid for inner activations once backward() has run. */
  read(): Float32Array | Int32Array {
    return this.tape.backend.read(this.buffer, 0, this.length);
  }
}

/**
 * A weight of a model: first only a shape and a rule for its start, so that a model can be counted without memory;
 * `allocate` gives it a device buffer. Gradients are added up in `gradient` until they are zeroed.
 */
export class Parameter {
  private held: DeviceBuffer | undefined;
  /** Present while the parameter is being trained. */
  gradient: DeviceBuffer | undefined;

  constructor(
    readonly shape: Shape,
    readonly initialise: Initialiser,
    /** A table that is computed, not learned (sinusoids), is no trainable parameter: not counted, saved or updated. */
    readonly trainable = true,
  ) {}

  get length(): number {
    return elementCount(this.shape);
  }

  get value(): DeviceBuffer {
    if (!this.held) throw new Error("A parameter was used before its module was allocated");
    return this.held;
  }

  set value(buffer: DeviceBuffer) {
    this.held = buffer;
  }
}
