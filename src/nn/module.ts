// A part of a model: holds parameters and other modules as plain fields. Names come from the fields, in the order in
// which the class declares and its constructor assigns them (keep the two equal, and pass none in as a parameter
// property: compilers order those differently). So a model's parameters always have the same names and order.

import type { Backend } from "../backend/backend.ts";
import { parameterRandom, parameterStream } from "../tensor/random.ts";
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
   * stay zero until weights are loaded. With `gradients`, zeroed gradient buffers too. Values depend on a parameter's
   * name, so models that differ in one part start equal in all others. Throws the backend's OUT_OF_MEMORY.
   */
  allocate(backend: Backend, { seed, gradients }: { readonly seed?: number; readonly gradients?: boolean }): void {
    const named = this.all();
    requireOwnStreams(named);
    for (const [name, parameter] of named) {
      parameter.value = backend.allocate("f32", parameter.length);
      if (seed !== undefined || !parameter.trainable) {
        const values = new Float32Array(parameter.length);
        parameter.initialise(parameterRandom(seed ?? 0, name), values);
        backend.write(parameter.value, values);
      }
      if (gradients && parameter.trainable) parameter.gradient = backend.allocate("f32", parameter.length);
    }
  }

  /** Trainable parameters and computed tables. */
  private all(): NamedParameter[] {
    const found = new Map<Parameter, string>();
    collect(this, "", found);
    return [...found].map(([parameter, name]) => [name, parameter] as const);
  }
}

/** Names whose digests collide would start with the same numbers. */
function requireOwnStreams(named: readonly NamedParameter[]): void {
  const owners = new Map<number, string>();
  for (const [name] of named) {
    const stream = parameterStream(name);
    const owner = owners.get(stream);
    if (owner !== undefined) throw new Error(`parameters ${owner} and ${name} share a random stream: rename one`);
    owners.set(stream, name);
  }
}

function collect(value: unknown, name: string, found: Map<Parameter, string>): void {
  if (value instanceof Parameter) {
    if (!found.has(value)) found.set(value, name);
  } else if (value instanceof Module || Array.isArray(value)) {
    for (const [key, member] of Object.entries(value)) collect(member, name ? `${name}.${key}` : key, found);
  }
}
