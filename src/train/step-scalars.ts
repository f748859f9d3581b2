// The numbers that change from step to step, as kernels get them: as they are, or, for work that is recorded once and
// replayed, as places on the device from which it reads them.

import type { Backend, DeviceBuffer } from "../backend/backend.ts";
import type { DeviceScalar, Scalar } from "../backend/kernels.ts";

export interface StepNumbers {
  /** Counted from 0. */
  readonly step: number;
  readonly learningRate: number;
  /** A loss above it is a divergence. */
  readonly maxLoss: number;
  /** Probability of every dropout site that has one. */
  readonly dropout: number;
}

const INTEGERS = ["step", "update", "microBatch"] as const;
const REALS = ["learningRate", "maxLoss", "dropout"] as const;
type Name = (typeof INTEGERS)[number] | (typeof REALS)[number];

export class StepScalars {
  private readonly values = new Map<Name, number>();
  private readonly places = new Map<Name, DeviceScalar>();
  private readonly buffers: readonly (readonly [DeviceBuffer, readonly Name[]])[];

  /** With `onDevice` the numbers are kept in device memory, as i32 and float32. */
  constructor(
    private readonly backend: Backend,
    onDevice: boolean,
  ) {
    this.buffers = onDevice
      ? [
          [backend.allocate("i32", INTEGERS.length), INTEGERS],
          [backend.allocate("f32", REALS.length), REALS],
        ]
      : [];
    for (const [buffer, names] of this.buffers) {
      for (const [index, name] of names.entries()) this.places.set(name, { buffer, index });
    }
  }

  /** The number as it is now, or the place where work that runs later finds what it is then. */
  get(name: Name): Scalar {
    return this.places.get(name) ?? this.values.get(name)!;
  }

  /** Begin a step: its numbers, and micro-batch 0. */
  setStep({ step, ...reals }: StepNumbers): void {
    const numbers = { step, update: step + 1, microBatch: 0, ...reals };
    for (const [name, value] of Object.entries(numbers)) this.values.set(name as Name, value);
    for (const [buffer, names] of this.buffers) {
      const values = names.map((name) => numbers[name]);
      this.backend.write(buffer, buffer.dtype === "i32" ? Int32Array.from(values) : Float32Array.from(values));
    }
  }

  /** Ends the work of a micro-batch, recorded or not: what follows belongs to the next one. */
  nextMicroBatch(): void {
    const place = this.places.get("microBatch");
    if (place) this.backend.kernels.increment({ counters: place.buffer, index: place.index });
    else this.values.set("microBatch", this.values.get("microBatch")! + 1);
  }
}
