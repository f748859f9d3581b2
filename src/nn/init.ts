// How the weights of a transformer start: two schemes, chosen by the model's `init`.

import { constant, type Initialiser, normal, uniform } from "../tensor/random.ts";

export interface InitScheme {
  /** Weight of a linear layer. */
  linear(fanIn: number): Initialiser;
  /** Weight of a linear layer that writes to the residual stream of a model with `numLayers` blocks. */
  residual(fanIn: number, numLayers: number): Initialiser;
  /** Token table of width `hiddenDim`; `tied` when it is also the output projection. */
  embedding(hiddenDim: number, tied: boolean): Initialiser;
  /** Learned position table. */
  positions(hiddenDim: number): Initialiser;
  /** Factor of a sinusoidal table, whose own root mean square is sqrt(1/2). */
  sinusoidScale(hiddenDim: number): number;
}

/** Standard deviation of the uniform distribution on +-1/sqrt(n). */
const deviationOf = (n: number) => 1 / Math.sqrt(3 * n);

/**
 * Every matrix normal with deviation 1/sqrt(3 fanIn): the spread of PyTorch's default for Linear, and close to GPT-2's
 * 0.02 at width 512. Matrices that write to the residual stream are divided by sqrt(2 numLayers), so that its variance
 * does not grow with depth (Radford et al. 2019, section 2.3). Positions start as large as token embeddings: with the paper's own
 * start they are 28 to 39 times larger and swamp the tokens.
 */
const defaultScheme: InitScheme = {
  linear: (fanIn) => normal(deviationOf(fanIn)),
  residual: (fanIn, numLayers) => normal(deviationOf(fanIn) / Math.sqrt(2 * numLayers)),
  embedding: (hiddenDim) => normal(deviationOf(hiddenDim)),
  positions: (hiddenDim) => normal(deviationOf(hiddenDim)),
  sinusoidScale: (hiddenDim) => deviationOf(hiddenDim) / Math.SQRT1_2,
};

/**
 * What the paper's repository does: PyTorch's defaults. Every Linear uniform on +-1/sqrt(fanIn), and through tying the
 * embedding too; an untied embedding and learned positions N(0, 1); sinusoids as they are.
 */
const stlmScheme: InitScheme = {
  linear: (fanIn) => uniform(1 / Math.sqrt(fanIn)),
  residual: (fanIn) => uniform(1 / Math.sqrt(fanIn)),
  embedding: (hiddenDim, tied) => (tied ? uniform(1 / Math.sqrt(hiddenDim)) : normal(1)),
  positions: () => normal(1),
  sinusoidScale: () => 1,
};

export const initSchemes = { default: defaultScheme, stlm: stlmScheme } as const;

export const zeros = constant(0);
export const ones = constant(1);
