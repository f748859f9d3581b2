// One random call of each kernel, drawn from a seed: sizes (odd ones included), inputs, and which buffers it writes.

import type { Backend, DeviceBuffer } from "../../src/backend/backend.ts";
import type { Kernels } from "../../src/backend/kernels.ts";
import { CounterRandom } from "../../src/util/philox.ts";

export type Values = Float32Array | Int32Array;

export interface KernelCase {
  readonly kernel: keyof Kernels;
  /** Every buffer with what it holds before the call. */
  readonly buffers: Readonly<Record<string, Values>>;
  readonly outputs: readonly string[];
  /** Sizes, factors and flags. */
  readonly scalars: Readonly<Record<string, unknown>>;
  /** Fields that share another field's buffer. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Fields that hold several buffers, of those above. */
  readonly gather?: (held: Readonly<Record<string, DeviceBuffer>>) => Readonly<Record<string, unknown>>;
}

/** Buffers of several tensors: `p0`, `g0`, `p1`, `g1` ... */
export function lists(
  lengths: readonly number[],
  parts: Readonly<Record<string, (length: number) => Float32Array>>,
): Record<string, Float32Array> {
  const named = lengths.flatMap((length, i) =>
    Object.entries(parts).map(([name, make]) => [`${name}${i}`, make(length)] as const),
  );
  return Object.fromEntries(named);
}

/** Sizes and values for one case; the same seed gives the same case. */
class Draw {
  private index = 0;
  private readonly random: CounterRandom;

  constructor(seed: number) {
    this.random = new CounterRandom(seed, 99);
  }

  integer(min: number, max: number): number {
    return min + this.random.integer(this.index++, max - min + 1);
  }

  flag(): boolean {
    return this.integer(0, 1) === 1;
  }

  reals(length: number, scale = 1): Float32Array {
    return Float32Array.from({ length }, () => scale * this.random.normal(this.index++));
  }

  positive(length: number): Float32Array {
    return this.reals(length).map((x) => Math.abs(x) + 0.5);
  }

  ids(length: number, min: number, max: number): Int32Array {
    return Int32Array.from({ length }, () => this.integer(min, max));
  }

  dropoutKey() {
    return {
      probability: this.integer(0, 9) / 10,
      seed: this.integer(0, 2 ** 31),
      step: this.integer(0, 1000),
      microBatch: this.integer(0, 5),
      microBatchSize: this.integer(1, 2 ** this.integer(1, 31)), // now and then the counter wraps
      sequences: this.integer(1, 3),
      site: this.integer(0, 50),
    };
  }
}

function attentionShape(draw: Draw) {
  const Hkv = draw.integer(1, 3);
  const H = Hkv * draw.integer(1, 3);
  const D = 2 * draw.integer(1, 20);
  const T = draw.flag() ? 4 * draw.integer(1, 20) : draw.integer(1, 80);
  const dropout = draw.integer(0, 2) === 0 ? { dropout: draw.dropoutKey() } : {};
  return { B: draw.integer(1, 2), T, H, Hkv, D, scale: 1 / Math.sqrt(D), ...dropout };
}

const DRAWS: Readonly<Record<keyof Kernels, (draw: Draw) => Omit<KernelCase, "kernel">>> = {
  matmul(draw) {
    const [M, N, K] = [draw.integer(1, 70), draw.integer(1, 70), draw.integer(0, 3) * 300 + draw.integer(1, 40)];
    const flags = { transposeA: draw.flag(), transposeB: draw.flag(), accumulate: draw.flag() };
    const bias = draw.flag() ? { bias: draw.reals(N) } : {};
    const residual = draw.integer(0, 2);
    return {
      buffers: {
        c: draw.reals(M * N),
        a: draw.reals(M * K),
        b: draw.reals(K * N),
        ...bias,
        ...(residual === 1 ? { residual: draw.reals(M * N) } : {}),
      },
      ...(residual === 2 && !flags.accumulate ? { aliases: { residual: "c" } } : {}),
      outputs: ["c"],
      scalars: { M, N, K, ...flags },
    };
  },
  embedding(draw) {
    const [T, C, V] = [draw.integer(1, 20), draw.integer(1, 70), draw.integer(1, 300)];
    const N = T * draw.integer(1, 3);
    const positions = draw.flag() ? { positions: draw.reals(T * C) } : {};
    return {
      buffers: { y: draw.reals(N * C), table: draw.reals(V * C), ids: draw.ids(N, 0, V - 1), ...positions },
      outputs: ["y"],
      scalars: { N, T, C, V },
    };
  },
  embeddingGradient(draw) {
    const [T, C, V] = [draw.integer(1, 20), draw.integer(1, 70), draw.integer(1, 300)];
    const N = T * draw.integer(1, 3);
    const dPositions = draw.flag() ? { dPositions: draw.reals(T * C) } : {};
    return {
      buffers: { dTable: draw.reals(V * C), dy: draw.reals(N * C), ids: draw.ids(N, 0, V - 1), ...dPositions },
      outputs: ["dTable", ...Object.keys(dPositions)],
      scalars: { N, T, C, V },
    };
  },
  rmsNorm(draw) {
    const [N, C] = [draw.integer(1, 100), draw.integer(1, 100)];
    return {
      buffers: { y: draw.reals(N * C), rstd: draw.reals(N), x: draw.reals(N * C), w: draw.reals(C) },
      outputs: ["y", "rstd"],
      scalars: { N, C, eps: 1e-5 },
    };
  },
  rmsNormGradient(draw) {
    const [N, C] = [draw.integer(1, 100), draw.integer(1, 100)];
    const activations = { dx: draw.reals(N * C), dy: draw.reals(N * C), x: draw.reals(N * C) };
    return {
      buffers: { ...activations, dw: draw.reals(C), w: draw.reals(C), rstd: draw.positive(N) },
      outputs: ["dx", "dw"],
      scalars: { N, C, accumulate: draw.flag() },
    };
  },
  layerNorm(draw) {
    const [N, C] = [draw.integer(1, 100), draw.integer(1, 100)];
    const b = draw.flag() ? { b: draw.reals(C) } : {};
    const statistics = { mean: draw.reals(N), rstd: draw.reals(N) };
    return {
      buffers: { y: draw.reals(N * C), ...statistics, x: draw.reals(N * C), w: draw.reals(C), ...b },
      outputs: ["y", "mean", "rstd"],
      // One column has no variance: a larger eps keeps 1 / sqrt(variance + eps) tame.
      scalars: { N, C, eps: 1e-2 },
    };
  },
  layerNormGradient(draw) {
    const [N, C] = [draw.integer(1, 100), draw.integer(1, 100)];
    const db = draw.flag() ? { db: draw.reals(C) } : {};
    const activations = { dx: draw.reals(N * C), dy: draw.reals(N * C), x: draw.reals(N * C) };
    return {
      buffers: {
        ...activations,
        dw: draw.reals(C),
        w: draw.reals(C),
        mean: draw.reals(N),
        rstd: draw.positive(N),
        ...db,
      },
      outputs: ["dx", "dw", ...Object.keys(db)],
      scalars: { N, C, accumulate: draw.flag() },
    };
  },
  rope(draw) {
    const [T, heads, D] = [draw.integer(1, 40), draw.integer(1, 5), 2 * draw.integer(1, 20)];
    const [N, stride] = [T * draw.integer(1, 2), heads * D + draw.integer(0, 2) * D];
    return {
      buffers: { x: draw.reals(N * stride) },
      outputs: ["x"],
      scalars: { N, T, heads, D, stride, base: 10_000, firstPosition: draw.integer(0, 900), inverse: draw.flag() },
    };
  },
  attention(draw) {
    const shape = attentionShape(draw);
    const { B, T, H, Hkv, D } = shape;
    return {
      buffers: {
        y: draw.reals(B * T * H * D),
        logSumExp: draw.reals(B * H * T),
        qkv: draw.reals(B * T * (H + 2 * Hkv) * D),
      },
      outputs: ["y", "logSumExp"],
      scalars: shape,
    };
  },
  attentionGradient(draw) {
    const shape = attentionShape(draw);
    const { B, T, H, Hkv, D } = shape;
    return {
      buffers: {
        dqkv: draw.reals(B * T * (H + 2 * Hkv) * D),
        dy: draw.reals(B * T * H * D),
        y: draw.reals(B * T * H * D),
        logSumExp: draw.positive(B * H * T).map((x) => x + 3),
        qkv: draw.reals(B * T * (H + 2 * Hkv) * D),
      },
      outputs: ["dqkv"],
      scalars: shape,
    };
  },
  swiglu(draw) {
    const [N, F] = [draw.integer(1, 70), draw.integer(1, 70)];
    return { buffers: { y: draw.reals(N * F), x: draw.reals(N * 2 * F, 4) }, outputs: ["y"], scalars: { N, F } };
  },
  swigluGradient(draw) {
    const [N, F] = [draw.integer(1, 70), draw.integer(1, 70)];
    return {
      buffers: { dx: draw.reals(N * 2 * F), dy: draw.reals(N * F), x: draw.reals(N * 2 * F, 4) },
      outputs: ["dx"],
      scalars: { N, F },
    };
  },
  gelu(draw) {
    const length = draw.integer(1, 200);
    return { buffers: { y: draw.reals(length), x: draw.reals(length, 3) }, outputs: ["y"], scalars: { length } };
  },
  geluGradient(draw) {
    const length = draw.integer(1, 200);
    return {
      buffers: { dx: draw.reals(length), dy: draw.reals(length), x: draw.reals(length, 3) },
      outputs: ["dx"],
      scalars: { length },
    };
  },
  headLoss(draw) {
    // More than 256 rows make a second chunk.
    const N = draw.integer(0, 4) === 0 ? draw.integer(257, 300) : draw.integer(1, 70);
    const [C, V] = [draw.integer(1, 40), draw.flag() ? 257 : draw.integer(1, 300)];
    const gradients = draw.flag() ? { dx: draw.reals(N * C), dw: draw.reals(V * C) } : {};
    const tensors = { losses: draw.reals(N), x: draw.reals(N * C), w: draw.reals(V * C) };
    return {
      buffers: { ...tensors, targets: draw.ids(N, -1, V - 1), ...gradients },
      outputs: ["losses", ...Object.keys(gradients)],
      scalars: { N, C, V, gradientScale: 1 / N },
    };
  },
  dropout(draw) {
    const length = draw.integer(1, 300);
    const residual = draw.integer(0, 2);
    return {
      buffers: {
        y: draw.reals(length),
        x: draw.reals(length),
        ...(residual === 1 ? { residual: draw.reals(length) } : {}),
      },
      ...(residual === 2 ? { aliases: { residual: "y" } } : {}),
      outputs: ["y"],
      scalars: { length, dropout: draw.dropoutKey() },
    };
  },
  add(draw) {
    const length = draw.integer(1, 40_000);
    const aliases = draw.flag() ? { aliases: { b: "y" } } : {};
    const b = draw.reals(length);
    return {
      buffers: { y: draw.reals(length), a: draw.reals(length), ...("aliases" in aliases ? {} : { b }) },
      ...aliases,
      outputs: ["y"],
      scalars: { length },
    };
  },
  scale(draw) {
    const length = draw.integer(1, 300);
    return {
      buffers: { y: draw.reals(length), x: draw.reals(length) },
      outputs: ["y"],
      scalars: { length, factor: draw.reals(1)[0] },
    };
  },
  fill(draw) {
    const length = draw.integer(1, 300);
    return { buffers: { y: draw.reals(length + 3) }, outputs: ["y"], scalars: { length, value: draw.reals(1)[0] } };
  },
  copy(draw) {
    const length = draw.integer(1, 300);
    return { buffers: { y: draw.reals(length + 3), x: draw.reals(length) }, outputs: ["y"], scalars: { length } };
  },
  columnSum(draw) {
    const [N, C] = [draw.integer(1, 200), draw.integer(1, 70)];
    return { buffers: { db: draw.reals(C), dy: draw.reals(N * C) }, outputs: ["db"], scalars: { N, C } };
  },
  sum(draw) {
    const length = draw.integer(1, 60_000);
    const index = draw.integer(0, 2);
    return {
      buffers: { out: draw.reals(3), x: draw.reals(length) },
      outputs: ["out"],
      scalars: { length, index, squared: draw.flag() },
    };
  },
  clipScale(draw) {
    const [numLosses, numSquares] = [draw.integer(1, 5), draw.integer(1, 90)];
    return {
      buffers: {
        out: Float32Array.from([7, 7, 7, draw.integer(0, 3) === 0 ? 1 : 0]),
        sums: draw.positive(numLosses + numSquares),
      },
      outputs: ["out"],
      scalars: { numLosses, numSquares, numTokens: draw.integer(1, 9), clip: draw.integer(1, 3), maxLoss: 2 },
    };
  },
  adamW(draw) {
    const lengths = Array.from({ length: draw.integer(1, 5) }, () => draw.integer(1, 300));
    const decays = lengths.map(() => (draw.flag() ? 0.1 : 0));
    return {
      buffers: lists(lengths, {
        p: (length) => draw.reals(length),
        g: (length) => draw.reals(length),
        m: (length) => draw.reals(length, 0.01),
        v: (length) => draw.reals(length, 0.01).map((x) => x * x),
      }),
      outputs: lengths.flatMap((_, i) => [`p${i}`, `m${i}`, `v${i}`]),
      scalars: { lr: 3e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, step: draw.integer(1, 5000), gradientScale: 0.7 },
      gather: (held) => ({
        tensors: lengths.map((length, i) => {
          const [p, g, m, v] = ["p", "g", "m", "v"].map((name) => held[`${name}${i}`]);
          return { p, g, m, v, length, weightDecay: decays[i] };
        }),
      }),
    };
  },
  sumSquares(draw) {
    const lengths = Array.from({ length: draw.integer(1, 5) }, () => draw.integer(1, 300));
    const first = draw.integer(0, 3);
    return {
      buffers: {
        out: draw.reals(first + lengths.length + 1),
        ...lists(lengths, { x: (length) => draw.reals(length) }),
      },
      outputs: ["out"],
      scalars: { first },
      gather: (held) => ({ xs: lengths.map((_, i) => held[`x${i}`]) }),
    };
  },
  clear(draw) {
    const lengths = Array.from({ length: draw.integer(1, 5) }, () => draw.integer(1, 300));
    return {
      buffers: lists(lengths, { y: (length) => draw.reals(length) }),
      outputs: lengths.map((_, i) => `y${i}`),
      scalars: {},
      gather: (held) => ({ ys: lengths.map((_, i) => held[`y${i}`]) }),
    };
  },
  cutWindows(draw) {
    const [T, size, microBatch] = [draw.integer(1, 40), draw.integer(1, 9), draw.integer(0, 4)];
    const B = draw.integer(1, size);
    const windows = (microBatch * size + B + draw.integer(0, 3)) * (T + 1);
    return {
      buffers: {
        ids: draw.ids(B * T + 2, 0, 9),
        targets: draw.ids(B * T + 2, 0, 9),
        windows: draw.ids(windows, 0, 50_256),
      },
      outputs: ["ids", "targets"],
      scalars: { microBatch, size, B, T },
    };
  },
  increment(draw) {
    const counters = draw.ids(draw.integer(1, 5), -3, 1000);
    const index = draw.integer(0, counters.length - 1);
    return { buffers: { counters }, outputs: ["counters"], scalars: { index } };
  },
};

export const KERNEL_NAMES = Object.keys(DRAWS) as (keyof Kernels)[];
/** Those that read reals, of which one may be NaN. */
export const REAL_KERNELS = KERNEL_NAMES.filter((name) => !["fill", "clear", "cutWindows", "increment"].includes(name));

export function drawCase(kernel: keyof Kernels, seed: number): KernelCase {
  return { kernel, ...DRAWS[kernel](new Draw(seed)) };
}

/** Run a case and read what it wrote. */
export function runCase(backend: Backend, { kernel, buffers, outputs, scalars, aliases = {}, gather }: KernelCase) {
  const held: Record<string, DeviceBuffer> = {};
  for (const [name, values] of Object.entries(buffers)) {
    held[name] = backend.allocate(values instanceof Int32Array ? "i32" : "f32", values.length);
    backend.write(held[name]!, values);
  }
  const shared = Object.fromEntries(Object.entries(aliases).map(([field, target]) => [field, held[target]]));
  try {
    // The case was drawn for this kernel, which the types of a table of kernels cannot say.
    (backend.kernels[kernel] as (args: unknown) => void)({ ...held, ...shared, ...scalars, ...gather?.(held) });
    return Object.fromEntries(outputs.map((name) => [name, backend.read(held[name]!)]));
  } finally {
    for (const buffer of Object.values(held)) backend.free(buffer);
  }
}

/** Sizes and flags of a case, for messages. */
export function describeCase({ kernel, scalars }: KernelCase): string {
  return `${kernel} ${JSON.stringify(scalars)}`;
}
