// Rotary position embedding over adjacent pairs   (Su et al. 2021, section 3.2.2).

import { reals } from "../host-memory.ts";
import type { RopeArgs } from "../kernels.ts";

export function rope(args: RopeArgs): void {
  const { N, T, heads, D, stride, base, firstPosition = 0, inverse = false } = args;
  const x = reals(args.x, N === 0 ? 0 : (N - 1) * stride + heads * D, "rope.x");
  for (let n = 0; n < N; n++) {
    for (let i = 0; i < D / 2; i++) {
      const angle = ((n % T) + firstPosition) * base ** ((-2 * i) / D) * (inverse ? -1 : 1);
      const cos = Math.cos(angle);
      const sin = Math.sin(angle);
      for (let h = 0; h < heads; h++) {
        const even = n * stride + h * D + 2 * i;
        const [x0, x1] = [x[even]!, x[even + 1]!];
        x[even] = x0 * cos - x1 * sin;
        x[even + 1] = x0 * sin + x1 * cos;
      }
    }
  }
}
