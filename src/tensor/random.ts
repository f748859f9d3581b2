// How weights start. An initialiser fills an array by position from a counter, so the values of a parameter depend on
// the seed and on its name, never on the order of work or on what else the model has.

import { createHash } from "node:crypto";
import { CounterRandom, PURPOSE } from "../util/philox.ts";

export type Initialiser = (random: CounterRandom, values: Float32Array) => void;

/** The stream of a parameter: the first 32 bits of its name's SHA-256. */
export function parameterStream(name: string): number {
  return createHash("sha256").update(name).digest().readUInt32BE();
}

/** The random numbers of the parameter of this dotted name: equal in every model that has one of the name. */
export function parameterRandom(seed: number, name: string): CounterRandom {
  return new CounterRandom(seed, PURPOSE.init, 0, parameterStream(name));
}

export function constant(value: number): Initialiser {
  return (_, values) => {
    values.fill(value);
  };
}

/** Uniform in [-bound, bound). */
export function uniform(bound: number): Initialiser {
  return (random, values) => {
    for (let i = 0; i < values.length; i++) values[i] = (2 * random.uniform(i) - 1) * bound;
  };
}

/** Normal with mean 0. */
export function normal(deviation: number): Initialiser {
  return (random, values) => {
    for (let i = 0; i < values.length; i++) values[i] = random.normal(i) * deviation;
  };
}
