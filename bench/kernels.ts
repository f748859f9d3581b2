// What the cpu device's kernels reach at the shapes of real models: `npx tsx bench/kernels.ts [threads] [preset] [precision]`.
// Rates are per CPU second of one thread where threads = 1, which a busy machine disturbs least, else per wall second.

import type { DeviceBuffer } from "../src/backend/backend.ts";
import { createCpuBackend } from "../src/backend/cpu/index.ts";
import { cpuSeconds, sendRow } from "./rows.ts";

interface Preset {
  readonly name: string;
  readonly layers: number;
  readonly B: number;
  readonly T: number;
  readonly C: number;
  readonly H: number;
  readonly Hkv: number;
  readonly F: number;
  readonly V: number;
}

const PRESETS: readonly Preset[] = [
  { name: "nano", layers: 4, B: 8, T: 128, C: 128, H: 4, Hkv: 2, F: 352, V: 4096 },
  { name: "10m", layers: 6, B: 4, T: 512, C: 256, H: 8, Hkv: 2, F: 768, V: 8192 },
  { name: "50m", layers: 8, B: 1, T: 512, C: 512, H: 16, Hkv: 4, F: 1536, V: 50_257 },
];

const threads = Number(process.argv[2] ?? 1);
const filter = process.argv[3] ?? "";
const precision = process.argv[4] === "bf16" ? "bf16" : "f32";
const backend = await createCpuBackend({ threads, precision });
const { kernels } = backend;
console.log(backend.info.description);

/** Seconds now: of CPU for one thread, of wall time for several. */
function seconds(): number {
  if (threads > 1) return performance.now() / 1e3;
  return cpuSeconds();
}

/** The best of several samples of at least 30 ms each, in seconds per call. */
function measure(call: () => void): number {
  call();
  let calls = 1;
  let best = Number.POSITIVE_INFINITY;
  for (let sample = 0; sample < 7; sample++) {
    const start = seconds();
    for (let i = 0; i < calls; i++) call();
    const elapsed = seconds() - start;
    best = Math.min(best, elapsed / calls);
    if (elapsed < 0.03) calls = Math.ceil((calls * 0.04) / Math.max(elapsed, 1e-3));
  }
  return best;
}

function reals(length: number, scale = 0.1): DeviceBuffer {
  const buffer = backend.allocate("f32", length);
  backend.write(
    buffer,
    Float32Array.from({ length }, (_, i) => scale * Math.sin(i * 0.7315)),
  );
  return buffer;
}

interface Row {
  readonly name: string;
  /** How often a training step runs it. */
  readonly perStep: number;
  /** Floating-point operations of one call; 0 where memory or exponentials decide. */
  readonly operations: number;
  readonly call: () => void;
}

function product(name: string, M: number, N: number, K: number, form: "NT" | "NN" | "TN", perStep: number): Row {
  const [a, b, c] = [reals(M * K), reals(K * N), reals(M * N)];
  const flags = { transposeA: form === "TN", transposeB: form === "NT", accumulate: form === "TN" };
  const call = () => kernels.matmul({ c, a, b, M, N, K, ...flags });
  return { name: `${name} ${form} ${M}x${N}x${K}`, perStep, operations: 2 * M * N * K, call };
}

/** A linear layer from I to O columns: forward, gradient of the input, gradient of the weight. */
function linear(name: string, N: number, I: number, O: number, perStep: number): Row[] {
  return [
    product(name, N, O, I, "NT", perStep),
    product(name, N, I, O, "NN", perStep),
    product(name, O, I, N, "TN", perStep),
  ];
}

function rowsOf({ layers, B, T, C, H, Hkv, F, V }: Preset): Row[] {
  const N = B * T;
  const D = C / H;
  const width = (H + 2 * Hkv) * D;
  const [x, y, dx, w, dw, rstd] = [reals(N * C), reals(N * C), reals(N * C), reals(C), reals(C), reals(N)];
  const [qkv, dqkv, logSumExp] = [reals(N * width, 1), reals(N * width), reals(B * H * T)];
  const [gated, dGated, hidden] = [reals(N * 2 * F, 2), reals(N * 2 * F), reals(N * F)];
  const [losses, table, dTable] = [reals(N), reals(V * C), reals(V * C)];
  const ids = backend.allocate("i32", N);
  backend.write(
    ids,
    Int32Array.from({ length: N }, (_, i) => (i * 7919) % V),
  );
  const parameters = V * C + layers * (C * width + C * C + 3 * C * F + 2 * C) + C;
  const [p, g, m, v] = [reals(parameters), reals(parameters), reals(parameters, 0), reals(parameters, 0)];
  const attention = { B, T, H, Hkv, D, scale: 1 / Math.sqrt(D) };
  const dropout = { probability: 0.1, seed: 1, step: 1, microBatch: 0, site: 1 };
  const adam = { lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, step: 10, gradientScale: 1 };
  const tensors = [{ p, g, m, v, length: parameters, weightDecay: 0.1 }];
  const norms = 2 * layers + 1;
  // Half of the T x T products, by causality: two of them forward, five backward.
  const pair = B * H * T * T * D;
  const plain = (name: string, perStep: number, call: () => void): Row => ({ name, perStep, operations: 0, call });
  return [
    ...linear("qkv", N, C, width, layers),
    ...linear("attention output", N, C, C, layers),
    ...linear("gate and value", N, C, 2 * F, layers),
    ...linear("feed-forward output", N, F, C, layers),
    {
      name: "attention",
      perStep: layers,
      operations: 2 * pair,
      call: () => kernels.attention({ y, logSumExp, qkv, ...attention }),
    },
    {
      name: "attention gradient",
      perStep: layers,
      operations: 5 * pair,
      call: () => kernels.attentionGradient({ dqkv, dy: dx, y, logSumExp, qkv, ...attention }),
    },
    plain("attention with dropout", 0, () => kernels.attention({ y, logSumExp, qkv, ...attention, dropout })),
    {
      name: "head and loss",
      perStep: 1,
      operations: 6 * N * C * V,
      call: () =>
        kernels.headLoss({ losses, x, w: table, targets: ids, N, C, V, dx, dw: dTable, gradientScale: 1 / N }),
    },
    {
      name: "head and loss, no gradient",
      perStep: 0,
      operations: 2 * N * C * V,
      call: () => kernels.headLoss({ losses, x, w: table, targets: ids, N, C, V }),
    },
    plain("rms norm", norms, () => kernels.rmsNorm({ y, rstd, x, w, N, C, eps: 1e-5 })),
    plain("rms norm gradient", norms, () =>
      kernels.rmsNormGradient({ dx, dw, dy: y, x, w, rstd, N, C, accumulate: true }),
    ),
    plain("rope", 2 * layers, () => kernels.rope({ x: qkv, N, T, heads: H + Hkv, D, stride: width, base: 10_000 })),
    plain("swiglu", layers, () => kernels.swiglu({ y: hidden, x: gated, N, F })),
    plain("swiglu gradient", layers, () => kernels.swigluGradient({ dx: dGated, dy: hidden, x: gated, N, F })),
    plain("gelu", 0, () => kernels.gelu({ y: hidden, x: gated, length: N * F })),
    plain("dropout", 0, () => kernels.dropout({ y, x, length: N * C, dropout })),
    plain("embedding", 1, () => kernels.embedding({ y, table, ids, N, T, C, V })),
    plain("embedding gradient", 1, () => kernels.embeddingGradient({ dTable, dy: y, ids, N, T, C, V })),
    plain("gradient norm", 1, () => kernels.sum({ out: losses, index: 0, x: g, length: parameters, squared: true })),
    plain("adamw", 1, () => kernels.adamW({ tensors, ...adam })),
    plain("zero gradients", 1, () => kernels.fill({ y: g, value: 0, length: parameters })),
  ];
}

for (const preset of PRESETS.filter(({ name }) => name.includes(filter))) {
  const tokens = preset.B * preset.T;
  console.log(`\n${preset.name}: ${preset.layers} layers, hidden ${preset.C}, ${tokens} tokens`);
  let step = 0;
  for (const { name, perStep, operations, call } of rowsOf(preset)) {
    const time = measure(call);
    step += perStep * time;
    const rate = operations > 0 ? `${(operations / time / 1e9).toFixed(1).padStart(7)} GFLOP/s` : "";
    const share = `${(perStep * time * 1e3).toFixed(2).padStart(8)} ms a step`;
    sendRow({ suite: `kernels, ${preset.name}, ${precision}`, name, value: time * 1e6, unit: "us" });
    console.log(`  ${name.padEnd(40)} ${(time * 1e6).toFixed(0).padStart(8)} us ${share} ${rate}`);
  }
  console.log(`  sum of a step: ${(step * 1e3).toFixed(1)} ms, ${Math.round(tokens / step)} tokens a second`);
}
backend.close();
