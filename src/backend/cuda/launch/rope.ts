// Launch of kernels/rope.cu.

import type { RopeArgs } from "../../kernels.ts";
import type { Launcher } from "../launcher.ts";
import { address, elementType, f32, i32, launch } from "./arguments.ts";

const POSITIONS_PER_BLOCK = 4;

export function launchRope(launcher: Launcher, call: RopeArgs): void {
  const { x, N, T, heads, D, stride, base, firstPosition = 0, inverse = false } = call;
  if (D % 2 !== 0) throw new RangeError(`rope.D: ${D} is odd`);
  const type = elementType(x, "rope.x");
  const positions = Math.ceil(Math.min(N, T) / POSITIONS_PER_BLOCK);
  // Few blocks share a position, so that its cosines serve several sequences.
  const shares = Math.max(1, Math.ceil((launcher.multiprocessors * 8) / Math.max(positions, 1)));
  launch(launcher, {
    kernel: `rope_${type}`,
    grid: [positions, Math.min(Math.ceil(N / T), shares), 1],
    threads: 128,
    sharedBytes: POSITIONS_PER_BLOCK * D * 4,
    args: [
      address(x, type, N === 0 ? 0 : (N - 1) * stride + heads * D, "rope.x"),
      i32(N),
      i32(T),
      i32(heads),
      i32(D),
      i32(stride),
      f32(base),
      i32(firstPosition),
      f32(inverse ? -1 : 1),
    ],
  });
}
