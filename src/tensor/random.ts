// How weights start. An initialiser fills an array by position from a counter, so the values of a parameter depend on
// the seed and on its place in the model, never on the order of work.

import { CounterRandom, PURPOSE } from "../util/philox.ts";

export type Initialiser = (random: CounterRandom, values: Float32Array) => void;

/** The random numbers of the parameter that stands at `index` in its model. */
export function parameterRandom(seed: number, index: number): CounterRandom {
  return new CounterRandom(seed, PURPOSE.init, 0, index);
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
