// The reference kernels in double precision, so that finite differences resolve gradients to many digits.

import type { Backend } from "../../src/backend/backend.ts";
import { HostBuffer } from "../../src/backend/host-memory.ts";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";

export function createDoubleBackend(): Backend {
  const backend = createReferenceBackend();
  return {
    ...backend,
    allocate: (dtype, length) =>
      dtype === "i32" ? backend.allocate(dtype, length) : new HostBuffer(dtype, new Float64Array(length)),
    free: () => undefined,
  };
}

/** The numbers behind a buffer of that backend, to look at and to change. */
export function doublesOf(buffer: unknown): Float64Array {
  if (buffer instanceof HostBuffer && buffer.data instanceof Float64Array) return buffer.data;
  throw new TypeError("Not a double-precision buffer");
}
