// `stlm-pipeline/tensor`: tensors with gradients on a tape, and safetensors files.

/** The operations, each with its gradient: `ops.linear(x, weight)`. */
export * as ops from "./ops/index.ts";
/** Device memory that is used again from pass to pass. */
export { BufferPool } from "./pool.ts";
/** Rules for initial weights, drawn by counter. */
export { constant, type Initialiser, normal, uniform } from "./random.ts";
/** Files of named float32 tensors. */
export { readSafetensors, type SafetensorsFile, type TensorSource, writeSafetensors } from "./safetensors.ts";
export { elementCount, type Shape, ShapeError } from "./shape.ts";
/** One pass through a model: `withTape(pool, { gradients: true }, (tape) => ...)`. */
export { type Tape, type TapeOptions, withTape } from "./tape.ts";
/** Activations, which live as long as their tape, and weights, which stay. */
export { Parameter, type Tensor } from "./tensor.ts";
