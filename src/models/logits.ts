// The scores that a model gives to every next token of one sequence.

import type { Backend } from "../backend/backend.ts";
import { BufferPool } from "../tensor/pool.ts";
import { withTape } from "../tensor/tape.ts";
import type { Transformer } from "./transformer.ts";

/**
 * Logits (T, V) of the T given ids, row-major: row t scores what follows ids[t]. Dropout is off. Throws a RangeError
 * where the ids do not fit the context window.
 */
export function logitsOf(model: Transformer, backend: Backend, ids: Int32Array): Float32Array {
  const pool = new BufferPool(backend);
  try {
    return withTape(
      pool,
      {},
      (tape) => model.logits(model.hidden(tape.input(ids, [1, ids.length]))).read() as Float32Array,
    );
  } finally {
    pool.trim();
  }
}
