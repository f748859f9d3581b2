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
    for (const { gradient } of this.slots)
      this.backend.kernels.fill({ y: gradient, value: 0, length: gradient.length });
  }

  /** Update number `step` (1 for the first; i32) with all gradients multiplied by `gradientScale`; none where that is NaN. */
  update(step: Scalar, learningRate: Scalar, gradientScale: Scalar): void {
    const { beta1, beta2, eps, weightDecay } = this.options;
    for (const { parameter, gradient, m, v } of this.slots) {
      this.backend.kernels.adamW({
        p: parameter.value,
        g: gradient,
        m,
        v,
        length: parameter.length,
        lr: learningRate,
        beta1,
        beta2,
        eps,
        weightDecay: parameter.shape.length >= 2 ? weightDecay : 0,
        step,
        gradientScale,
      });
    }
  }
}
