// Sinusoidal positions   (Vaswani et al. 2017, section 3.5): sine in even columns, cosine in odd ones.

import type { Initialiser } from "../tensor/random.ts";
import { Parameter } from "../tensor/tensor.ts";

/** table[t, 2i] = scale sin(t / 10000^(2i/C)), table[t, 2i+1] = scale cos(of the same). */
export function sinusoids(hiddenDim: number, scale: number): Initialiser {
  return (_, table) => {
    for (let index = 0; index < table.length; index++) {
      const t = Math.floor(index / hiddenDim);
      const c = index % hiddenDim;
      const angle = t / 10_000 ** ((c - (c % 2)) / hiddenDim);
      table[index] = scale * (c % 2 === 0 ? Math.sin(angle) : Math.cos(angle));
    }
  };
}

/** The table as a parameter that is not trained: (contextWindow, hiddenDim). */
export function sinusoidalTable(contextWindow: number, hiddenDim: number, scale: number): Parameter {
  return new Parameter([contextWindow, hiddenDim], sinusoids(hiddenDim, scale), false);
}
