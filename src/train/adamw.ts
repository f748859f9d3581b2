// AdamW   (Loshchilov & Hutter 2019, algorithm 2): Adam with decoupled weight decay, in place on the device.

import type { Backend, DeviceBuffer } from "../backend/backend.ts";
import type { Scalar } from "../backend/kernels.ts";
import type { NamedParameter } from "../nn/module.ts";
import type { Parameter } from "../tensor/tensor.ts";

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Of tensors with at least two axes; gains and biases do not decay. */
  readonly weightDecay: number;
}

interface Slot {
  readonly name: string;
  readonly parameter: Parameter;
  readonly gradient: DeviceBuffer;
  readonly m: DeviceBuffer;
  readonly v: DeviceBuffer;
}

export class AdamW {
  /** What is updated, with its moments, in the order of the model. */
  readonly slots: readonly Slot[];

  /** Takes the parameters that have a gradient buffer. */
  constructor(
    private readonly backend: Backend,
    parameters: readonly NamedParameter[],
    private readonly options: AdamWOptions,
  ) {
    this.slots = parameters.flatMap(([name, parameter]) => {
      const { gradient, length } = parameter;
      if (!gradient) return [];
      const [m, v] = [backend.allocate("f32", length), backend.allocate("f32", length)];
      return [{ name, parameter, gradient, m, v }];
    });
  }

  zeroGradients(): void {
    this.backend.kernels.clear({ ys: this.slots.map(({ gradient }) => gradient) });
  }

  /** Update number `step` (1 for the first; i32) with all gradients multiplied by `gradientScale`; none where that is NaN. */
  update(step: Scalar, learningRate: Scalar, gradientScale: Scalar): void {
    const { beta1, beta2, eps, weightDecay } = this.options;
    const tensors = this.slots.map(({ parameter, gradient: g, m, v }) => {
      const { value: p, length, shape } = parameter;
      return { p, g, m, v, length, weightDecay: shape.length >= 2 ? weightDecay : 0 };
    });
    this.backend.kernels.adamW({ tensors, lr: learningRate, beta1, beta2, eps, step, gradientScale });
  }
}
