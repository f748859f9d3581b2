// A trained transformer as evaluation sees it: log-probabilities of given sequences.

import type { Backend } from "../backend/backend.ts";
import { BufferPool } from "../tensor/pool.ts";
import { withTape } from "../tensor/tape.ts";
import type { LanguageModel } from "./language-model.ts";
import type { Transformer } from "./transformer.ts";

/** Tokens in one pass, padding included. */
const BATCH_TOKENS = 2048;
/** Lengths are rounded up to a multiple of this, so that batches have few shapes and memory is used again. */
const LENGTH_STEP = 16;

export class TransformerLanguageModel implements LanguageModel {
  private readonly pool: BufferPool;
  private shape = "";

  constructor(
    backend: Backend,
    private readonly model: Transformer,
  ) {
    this.pool = new BufferPool(backend);
  }

  get vocabSize(): number {
    return this.model.config.vocabSize;
  }

  get contextWindow(): number {
    return this.model.config.contextWindow;
  }

  /** See LanguageModel. Throws a RangeError for a sequence that is empty or too long. */
  logProbs(sequences: readonly Int32Array[]): Float32Array[] {
    for (const { length } of sequences) {
      if (length < 1 || length > this.contextWindow + 1) {
        throw new RangeError(`A sequence of ${length} ids; the model takes 1 to ${this.contextWindow + 1}`);
      }
    }
    const results: Float32Array[] = sequences.map(() => new Float32Array(0));
    const order = sequences.map((_, index) => index).filter((index) => sequences[index]!.length > 1);
    order.sort((a, b) => sequences[b]!.length - sequences[a]!.length || a - b);
    for (let first = 0; first < order.length; ) {
      const T = this.paddedLength(sequences[order[first]!]!.length - 1);
      const batch = order.slice(first, first + Math.max(1, Math.floor(BATCH_TOKENS / T)));
      this.scoreBatch(
        batch.map((index) => sequences[index]!),
        T,
      ).forEach((values, b) => {
        results[batch[b]!] = values;
      });
      first += batch.length;
    }
    return results;
  }

  /** Attention is causal, so what stands after a sequence's end cannot reach it. */
  private scoreBatch(sequences: readonly Int32Array[], T: number): Float32Array[] {
    const B = sequences.length;
    const ids = new Int32Array(B * T);
    const targets = new Int32Array(B * T).fill(-1);
    for (const [b, sequence] of sequences.entries()) {
      ids.set(sequence.subarray(0, -1), b * T);
      targets.set(sequence.subarray(1), b * T);
    }
    // Other shapes would only pile up in the pool: sequences come sorted by length, so a shape is done once it changes.
    if (this.shape !== `${B} ${T}`) this.pool.trim();
    this.shape = `${B} ${T}`;
    const losses = withTape(this.pool, {}, (tape) =>
      this.model.losses(tape.input(ids, [B, T]), tape.input(targets, [B, T])).read(),
    );
    return sequences.map((sequence, b) =>
      Float32Array.from(losses.subarray(b * T, b * T + sequence.length - 1), (loss) => -loss),
    );
  }

  private paddedLength(length: number): number {
    return Math.min(this.contextWindow, Math.ceil(length / LENGTH_STEP) * LENGTH_STEP);
  }
}
