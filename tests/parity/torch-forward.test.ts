// Our model against losses, logits and gradients that PyTorch computed in double precision (torch_forward.py).

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { type ModelConfig, modelConfigSchema } from "../../src/models/config.ts";
import { nextLogits } from "../../src/models/generate.ts";
import { Transformer } from "../../src/models/transformer.ts";
import { BufferPool } from "../../src/tensor/pool.ts";
import { withTape } from "../../src/tensor/tape.ts";
import { type TokenSource, Trainer } from "../../src/train/trainer.ts";
import { openDevices } from "../backend/devices.ts";
import { fillWeights, hash32, hashUniform } from "./hash.ts";

interface Golden {
  readonly batch: number;
  readonly sizes: Pick<
    ModelConfig,
    "contextWindow" | "vocabSize" | "hiddenDim" | "numLayers" | "numHeads" | "numKvHeads"
  >;
  readonly variants: Record<
    string,
    {
      readonly config: Partial<ModelConfig>;
      readonly losses: number[];
      readonly lastLogits: number[];
      readonly gradients: [norm: number, product: number][];
      readonly training: { readonly losses: number[]; readonly norms: number[] };
    }
  >;
}

const golden: Golden = JSON.parse(readFileSync(new URL("../golden/torch-forward.json", import.meta.url), "utf8"));

// Single precision with double-precision sums, through two layers: a few units of 2^-24 relative to values near 4.
const LOSS_TOLERANCE = 3e-6;
const GRADIENT_TOLERANCE = 3e-6;

// 40 steps let single rounding errors grow: Adam divides by small second moments.
const TRAINING_TOLERANCE = 1e-4;

const cases = (await openDevices()).flatMap(({ name: device, backend }) =>
  Object.entries(golden.variants).map(([variant, expected]) => ({ device, variant, backend, ...expected })),
);

function hashModel(device: Backend, change: Partial<ModelConfig>): Transformer {
  const { vocabSize, ...sizes } = golden.sizes;
  const model = new Transformer({ ...modelConfigSchema.parse({ ...sizes, ...change, dropout: 0 }), vocabSize });
  model.allocate(device, { seed: 1, gradients: true });
  fillWeights(model, device, (t, name, i) => {
    const gain = /[nN]orm\.weight$/.test(name) ? 1 : 0;
    return hashUniform(i, hash32(1000 + t)) * 0.3 + gain;
  });
  return model;
}

function hashStream(length: number): Int32Array {
  return Int32Array.from({ length }, (_, n) => hash32((n + hash32(99)) >>> 0) % golden.sizes.vocabSize);
}

describe.each(cases)("$variant on $device", ({ backend: device, config, losses, lastLogits, gradients, training }) => {
  const [B, T] = [golden.batch, golden.sizes.contextWindow];

  test("losses, logits and the gradients of all parameters agree with PyTorch", () => {
    const model = hashModel(device, config);
    const stream = hashStream(B * (T + 1));
    const rows = Array.from({ length: B }, (_, b) => stream.subarray(b * (T + 1), (b + 1) * (T + 1)));
    const found = withTape(new BufferPool(device), { gradients: true }, (tape) => {
      const ids = tape.input(Int32Array.from(rows.flatMap((row) => [...row.subarray(0, T)])), [B, T]);
      const targets = tape.input(Int32Array.from(rows.flatMap((row) => [...row.subarray(1)])), [B, T]);
      const values = model.losses(ids, targets, 1 / (B * T)).read();
      tape.backward();
      return values;
    });
    expectClose([...found], losses, LOSS_TOLERANCE, "loss");
    const logits = nextLogits(model, new BufferPool(device), [...rows[B - 1]!.subarray(0, T)]);
    expectClose([...logits], lastLogits, LOSS_TOLERANCE, "logit");
    const parameters = model.parameters().map(([, parameter]) => device.read(parameter.gradient!) as Float32Array);
    const norms = parameters.map((values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)));
    const products = parameters.map((values) => values.reduce((sum, value, i) => sum + value * Math.cos(i), 0));
    expectClose(
      norms,
      gradients.map(([norm]) => norm),
      GRADIENT_TOLERANCE,
      "norm of the gradient of parameter",
    );
    expectClose(
      products,
      gradients.map(([, product]) => product),
      GRADIENT_TOLERANCE,
      "gradient of parameter",
    );
  });

  test("a training follows PyTorch's step by step, whatever the micro-batch", () => {
    for (const microBatch of [1, 2]) {
      const steps = training.losses.length;
      const stream = hashStream(200);
      let next = 0;
      const source: TokenSource = {
        tokens: stream.length,
        readWindow: (_, length) => {
          const start = (5 * next++) % (stream.length - T);
          return stream.subarray(start, start + length);
        },
      };
      const trainer = new Trainer(device, hashModel(device, config), source, {
        steps,
        warmupSteps: 4,
        learningRate: 1e-2,
        minLearningRate: 1e-3,
        schedule: "cosine",
        contextWindow: T,
        batchTokens: B * T,
        microBatch,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weightDecay: 0.1,
        clip: 1,
        seed: 1,
      });
      const results = Array.from({ length: steps }, () => trainer.runStep());
      expectClose(
        results.map(({ loss }) => loss),
        training.losses,
        TRAINING_TOLERANCE,
        "loss of step",
      );
      // Norms are larger numbers: their tolerance is relative.
      expectClose(
        results.map(({ gradientNorm }, i) => gradientNorm / training.norms[i]!),
        training.norms.map(() => 1),
        10 * TRAINING_TOLERANCE,
        "gradient norm of step",
      );
    }
  });
});

function expectClose(found: readonly number[], expected: readonly number[], tolerance: number, what: string): void {
  expect(found).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) {
    expect(Math.abs(found[i]! - value), `${what} ${i}: ${found[i]} and ${value}`).toBeLessThan(tolerance);
  }
}
