// Numbers that kernels take as they are, or find on the device.

import type { DeviceBuffer } from "./backend.ts";

/**
 * A number that a kernel reads from `buffer[index]` when it runs, so that work recorded once can be repeated with other values.
 * Where a field takes `Scalar`, a plain number is fixed when the call is made. The buffer is f32 unless the field says i32.
 */
export interface DeviceScalar {
  readonly buffer: DeviceBuffer;
  readonly index: number;
}
export type Scalar = number | DeviceScalar;
