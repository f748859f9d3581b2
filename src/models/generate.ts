// Text from a model, one token at a time: temperature, then top-k, then top-p (nucleus sampling, Holtzman et al. 2020).

import type { Backend } from "../backend/backend.ts";
import { BufferPool } from "../tensor/pool.ts";
import { withTape } from "../tensor/tape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { CounterRandom, PURPOSE } from "../util/philox.ts";
import { GenerationCache } from "./generation-cache.ts";
import type { Transformer } from "./transformer.ts";

export interface SamplingOptions {
  readonly maxTokens: number;
  /** 0 always takes the most probable token. */
  readonly temperature: number;
  /** Only the k most probable tokens, at least 1; undefined for all. */
  readonly topK?: number | undefined;
  /** Only the most probable tokens that together have this probability, above 0 and at most 1; undefined for all. */
  readonly topP?: number | undefined;
  readonly seed: number;
  /** Generation ends before this id, usually the end of text. */
  readonly stopAt?: number | undefined;
}

/**
 * Ids that continue `prompt` (at least one id). Beyond the context window the model sees the last contextWindow ids,
 * counted from position 0 again. The same seed gives the same ids on the same device class. Throws a RangeError for options
 * out of range, before the first id.
 */
export function* generate(
  model: Transformer,
  backend: Backend,
  prompt: Int32Array,
  options: SamplingOptions,
): Generator<number> {
  if (prompt.length === 0) throw new RangeError("generate: the prompt has no ids; start from the end-of-text id");
  requireOptions(options);
  const pool = new BufferPool(backend, { flexible: true });
  const random = new CounterRandom(options.seed, PURPOSE.sample);
  const { contextWindow } = model.config;
  const ids = [...prompt];
  const cache = new GenerationCache(backend, model.config);
  try {
    for (let n = 0; n < options.maxTokens; n++) {
      // A window that slides gives every id another position, so nothing of the cache holds beyond the first.
      const logits =
        ids.length <= contextWindow
          ? continuedLogits(model, pool, ids.slice(cache.length), cache)
          : nextLogits(model, pool, ids.slice(-contextWindow));
      const id = sampleFrom(logits, options, random.uniform(n));
      if (id === options.stopAt) return;
      ids.push(id);
      yield id;
    }
  } finally {
    cache.free();
    pool.trim();
  }
}

function requireOptions({ maxTokens, temperature, topK = 1, topP = 1, seed }: SamplingOptions): void {
  const require = (name: string, value: number, holds: boolean, what: string) => {
    if (!holds) throw new RangeError(`generate: ${name} is ${value} and must be ${what}`);
  };
  require("maxTokens", maxTokens, maxTokens >= 0, "a number, 0 or above");
  require("temperature", temperature, temperature >= 0 && temperature < Infinity, "a number, 0 or above");
  require("topK", topK, Number.isInteger(topK) && topK >= 1, "a whole number above 0");
  require("topP", topP, topP > 0 && topP <= 1, "above 0 and at most 1");
  require("seed", seed, Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32, "a whole number from 0 to 2^32 - 1");
}

/** Logits of the token after those in the cache and `ids`, which the cache takes in: (V). */
export function continuedLogits(
  model: Transformer,
  pool: BufferPool,
  ids: readonly number[],
  cache: GenerationCache,
): Float32Array {
  return withTape(pool, {}, (tape) =>
    lastLogits(model, model.continue(tape.input(Int32Array.from(ids), [1, ids.length]), cache)),
  );
}

/** Logits of the token after `ids`, computed from nothing but them: (V). */
export function nextLogits(model: Transformer, pool: BufferPool, ids: readonly number[]): Float32Array {
  return withTape(pool, {}, (tape) =>
    lastLogits(model, model.hidden(tape.input(Int32Array.from(ids), [1, ids.length]))),
  );
}

/** Hidden states (1, T, C) -> logits of the last position: only its row is projected. */
function lastLogits(model: Transformer, hidden: Tensor): Float32Array {
  const { tape, rows: T, width: C } = hidden;
  const last = tape.backend.read(hidden.buffer, (T - 1) * C, C);
  return model.logits(tape.input(last, [1, C])).read() as Float32Array;
}

/** The id that a uniform draw from [0, 1) picks. Equal logits are ordered by id. */
export function sampleFrom(
  logits: Float32Array,
  { temperature, topK, topP }: Pick<SamplingOptions, "temperature" | "topK" | "topP">,
  draw: number,
): number {
  const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
  const best = order[0]!;
  if (temperature === 0) return best;
  const kept = order.slice(0, topK ?? order.length);
  const weights = kept.map((id) => Math.exp((logits[id]! - logits[best]!) / temperature));
  let total = weights.reduce((sum, weight) => sum + weight, 0);
  if (topP !== undefined) {
    let count = 0;
    let sum = 0;
    while (count < kept.length && sum < topP * total) sum += weights[count++]!;
    kept.length = count;
    total = sum;
  }
  let rest = draw * total;
  for (const [i, id] of kept.entries()) {
    rest -= weights[i]!;
    if (rest < 0) return id;
  }
  return kept[kept.length - 1]!;
}
