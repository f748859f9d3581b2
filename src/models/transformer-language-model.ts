// A trained transformer as evaluation sees it: log-probabilities of the ids in given windows.

import type { Backend } from "../backend/backend.ts";
import { BufferPool } from "../tensor/pool.ts";
import { withTape } from "../tensor/tape.ts";
import type { LanguageModel, Window } from "./language-model.ts";
import type { Transformer } from "./transformer.ts";
import { batchWindows, type WindowBatch } from "./window-batches.ts";

/** Rows of activations in one pass: enough to keep threads busy, few enough to stay in cache. */
const BATCH_ROWS = 1024;

export class TransformerLanguageModel implements LanguageModel {
  private readonly pool: BufferPool;

  constructor(
    backend: Backend,
    private readonly model: Transformer,
  ) {
    this.pool = new BufferPool(backend, { flexible: true });
  }

  get vocabSize(): number {
    return this.model.config.vocabSize;
  }

  get contextWindow(): number {
    return this.model.config.contextWindow;
  }

  /** See LanguageModel. Throws a RangeError for a window that is empty or too long, has not as many ids as it scores, or an id outside the vocabulary. */
  logProbs(windows: readonly Window[]): Float32Array[] {
    for (const { ids, scored } of windows) {
      if (ids.length < 1 || ids.length > this.contextWindow + 1) {
        throw new RangeError(`A window of ${ids.length} ids; the model takes 1 to ${this.contextWindow + 1}`);
      }
      if (scored < 0 || scored >= ids.length) {
        throw new RangeError(`A window of ${ids.length} ids cannot have ${scored} that are scored`);
      }
      // As a target, -1 would pass for one that does not count; all other ids go through the embedding, which looks.
      if (ids.at(-1)! < 0) throw new RangeError(`A window ends with ${ids.at(-1)}, which is no id`);
    }
    const results = windows.map(({ scored }) => new Float32Array(scored));
    for (const batch of batchWindows(windows, BATCH_ROWS)) {
      const losses = this.losses(batch);
      let next = 0;
      for (const index of batch.windows) {
        const values = results[index]!;
        for (let i = 0; i < values.length; i++) values[i] = -losses[next++]!;
      }
    }
    return results;
  }

  /** Nats of each target. */
  private losses({ B, T, ids, rowAt, positions, wantedRows, wantedPositions, targets }: WindowBatch) {
    const [N, W] = [positions.length, targets.length];
    // Where each position is wanted, once and in order, as in whole documents, rows need no moving.
    const isPlain = W === B * T && wantedPositions.every((position, i) => position === i);
    return withTape(this.pool, {}, (tape) => {
      const shared = isPlain
        ? undefined
        : {
            rowAt: tape.input(rowAt, [B, T]),
            positions: tape.input(positions, [N]),
            wanted: { rows: tape.input(wantedRows, [W]), positions: tape.input(wantedPositions, [W]) },
          };
      const hidden = this.model.hidden(tape.input(ids, [B, T]), shared);
      return this.model.lossesOf(hidden, tape.input(targets, [W])).read();
    });
  }
}
