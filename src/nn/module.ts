// A part of a model: holds parameters and other modules as plain fields. Names come from the fields, in the order in
// which the class declares and its constructor assigns them (keep the two equal, and pass none in as a parameter
// property: compilers order those differently). So a model's parameters always have the same names and order.

import type { Backend } from "../backend/backend.ts";
import { parameterRandom } from "../tensor/random.ts";
import { Parameter } from "../tensor/tensor.ts";

export type NamedParameter = readonly [name: string, parameter: Parameter];

export abstract class Module {
  /** Trainable parameters by dotted name, `blocks.0.attention.qkv.weight`. A shared parameter counts once, by its first name. */
  parameters(): NamedParameter[] {
    return this.all().filter(([, parameter]) => parameter.trainable);
  }

  /** Number of trainable weights. Needs no memory. */
  countParameters(): number {
    return this.parameters().reduce((sum, [, parameter]) => sum + parameter.length, 0);
  }

  /**
   * Take memory on the device and fill it with the initial values of this seed; without a seed, trainable parameters
   * stay zero until weights are loaded. With `gradients`, zeroed gradient buffers too. Throws the backend's OUT_OF_MEMORY.
   */
  allocate(backend: Backend, { seed, gradients }: { readonly seed?: number; readonly gradients?: boolean }): void {
    for (const [index, [, parameter]] of this.all().entries()) {
      parameter.value = backend.allocate("f32", parameter.length);
      if (seed !== undefined || !parameter.trainable) {
        const values = new Float32Array(parameter.length);
        parameter.initialise(parameterRandom(seed ?? 0, index), values);
        backend.write(parameter.value, values);
      }
      if (gradients && parameter.trainable) parameter.gradient = backend.allocate("f32", parameter.length);
    }
  }

  /** Trainable parameters first, so that a computed table never moves the seeds of the others. */
  private all(): NamedParameter[] {
    const found = new Map<Parameter, string>();
    collect(this, "", found);
    const named = [...found].map(([parameter, name]) => [name, parameter] as const);
    return [...named.filter(([, p]) => p.trainable), ...named.filter(([, p]) => !p.trainable)];
  }
}

function collect(value: unknown, name: string, found: Map<Parameter, string>): void {
  if (value instanceof Parameter) {
    if (!found.has(value)) found.set(value, name);
  } else if (value instanceof Module || Array.isArray(value)) {
    for (const [key, member] of Object.entries(value)) collect(member, name ? `${name}.${key}` : key, found);
  }
}
