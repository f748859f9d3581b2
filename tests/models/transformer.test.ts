import { describe, expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { Transformer } from "../../src/models/transformer.ts";
import { BufferPool } from "../../src/tensor/pool.ts";
import { withTape } from "../../src/tensor/tape.ts";
import { UserError } from "../../src/util/errors.ts";
import { createDoubleBackend, doublesOf } from "../tensor/double-backend.ts";
import { randomIds, tinyConfig, tinyModel } from "./tiny.ts";

const rows: Record<string, Partial<ModelConfig>> = {
  baseline: {},
  sincos: { positions: "sincos" },
  learned: { positions: "learned" },
  "simple-ffn": { ffn: "gelu", ffnDim: 36 },
  "layer norm with biases, untied": { norm: "layer", bias: true, tied: false, positions: "none" },
};

describe.each(Object.entries(rows))("%s", (_, change) => {
  test.each([0, 0.2])("gradients of all parameters equal finite differences with dropout %d", (dropout) => {
    const backend = createDoubleBackend();
    const pool = new BufferPool(backend);
    const model = tinyModel(backend, { ...change, dropout, hiddenDim: 8, ffnDim: 6, vocabSize: 11, contextWindow: 5 });
    const [B, T] = [2, 5];
    const [ids, targets] = [randomIds(1, B * T, 11), randomIds(2, B * T, 11)];
    const options = { gradients: true, dropout: { seed: 1, step: 4, microBatch: 0 } };
    const loss = (learn: boolean) =>
      withTape(pool, options, (tape) => {
        const losses = model.losses(tape.input(ids, [B, T]), tape.input(targets, [B, T]), 1 / (B * T));
        const sum = doublesOf(losses.buffer).reduce((total, value) => total + value, 0);
        if (learn) tape.backward();
        return sum / (B * T);
      });
    loss(true);
    const learned = model.parameters().map(([, parameter]) => doublesOf(parameter.gradient).slice());
    for (const [k, [name, parameter]] of model.parameters().entries()) {
      const values = doublesOf(parameter.value);
      for (let i = 0; i < values.length; i += Math.max(1, Math.floor(values.length / 5))) {
        const before = values[i]!;
        const at = (value: number) => {
          values[i] = value;
          return loss(false);
        };
        const numeric = (at(before + 1e-5) - at(before - 1e-5)) / 2e-5;
        values[i] = before;
        expect(Math.abs(learned[k]![i]! - numeric), `${name}[${i}]`).toBeLessThan(1e-8);
      }
    }
  });
});

test("a later token never changes an earlier loss", () => {
  const backend = createReferenceBackend();
  const model = tinyModel(backend);
  const pool = new BufferPool(backend);
  const [ids, targets] = [randomIds(3, 12), randomIds(4, 12)];
  const losses = (input: Int32Array) =>
    withTape(pool, {}, (tape) => model.losses(tape.input(input, [1, 12]), tape.input(targets, [1, 12])).read());
  const before = losses(ids);
  const after = losses(ids.with(8, (ids[8]! + 1) % 37));
  expect([...after.subarray(0, 8)]).toEqual([...before.subarray(0, 8)]);
  expect(after[8]).not.toBe(before[8]);
});

test("a step allocates nothing on the device after the first", () => {
  const backend = createReferenceBackend();
  const model = tinyModel(backend, { dropout: 0.1 });
  const pool = new BufferPool(backend);
  let allocations = 0;
  const counted = backend.allocate;
  backend.allocate = (dtype, length) => {
    allocations++;
    return counted(dtype, length);
  };
  const step = (number: number) => {
    const before = allocations;
    withTape(pool, { gradients: true, dropout: { seed: 1, step: number, microBatch: 0 } }, (tape) => {
      const ids = tape.input(randomIds(number, 32), [2, 16]);
      model.losses(ids, tape.input(randomIds(number + 9, 32), [2, 16]), 1);
      tape.backward();
    });
    return allocations - before;
  };
  expect(step(1)).toBeGreaterThan(20);
  expect([step(2), step(3)]).toEqual([0, 0]);
});

test("parameters have stable names and order, and initial values depend on the seed", () => {
  const model = new Transformer(tinyConfig({ positions: "learned", numLayers: 1, norm: "layer", bias: true }));
  expect(model.parameters().map(([name]) => name)).toEqual([
    "embedder.tokens.weight",
    "embedder.tokens.positions",
    "blocks.0.attentionNorm.weight",
    "blocks.0.attentionNorm.bias",
    "blocks.0.attention.qkv.weight",
    "blocks.0.attention.qkv.bias",
    "blocks.0.attention.output.weight",
    "blocks.0.attention.output.bias",
    "blocks.0.feedForwardNorm.weight",
    "blocks.0.feedForwardNorm.bias",
    "blocks.0.feedForward.input.weight",
    "blocks.0.feedForward.input.bias",
    "blocks.0.feedForward.output.weight",
    "blocks.0.feedForward.output.bias",
    "head.norm.weight",
    "head.norm.bias",
  ]);
  const backend = createReferenceBackend();
  const values = (seed: number) => backend.read(tinyModel(backend, {}, seed).parameters()[0]![1].value);
  expect(values(1)).toEqual(values(1));
  expect(values(1)).not.toEqual(values(2));
});

test("positions start as large as tokens by default and far larger with the paper's own start", () => {
  const backend = createReferenceBackend();
  const rms = (change: Partial<ModelConfig>) => {
    const model = tinyModel(backend, { hiddenDim: 64, contextWindow: 64, vocabSize: 200, ...change });
    const { weight, positions } = model.embedder.tokens;
    const size = (buffer: Parameters<typeof backend.read>[0]) => {
      const values = backend.read(buffer);
      return Math.sqrt((values as Float32Array).reduce((sum, value) => sum + value * value, 0) / values.length);
    };
    return size(positions!.value) / size(weight.value);
  };
  for (const positions of ["sincos", "learned"] as const) {
    expect(rms({ positions })).toBeCloseTo(1, 1);
    expect(rms({ positions, init: "stlm" })).toBeGreaterThan(9);
  }
});

test("dropout clears its share of the embeddings and scales up the rest", () => {
  const backend = createReferenceBackend();
  const model = tinyModel(backend, { dropout: 0.25 });
  const [pool, ids] = [new BufferPool(backend), randomIds(6, 16 * 16)];
  const embed = (options: Parameters<typeof withTape>[1]) =>
    withTape(pool, options, (tape) => model.embedder.forward(tape.input(ids, [16, 16])).read());
  const whole = embed({});
  const dropped = embed({ gradients: true, dropout: { seed: 1, step: 0, microBatch: 0 } });
  const kept = [...dropped.keys()].filter((i) => dropped[i] !== 0);
  expect(kept.length / dropped.length).toBeCloseTo(0.75, 1);
  for (const i of kept) expect(dropped[i]! * 0.75).toBeCloseTo(whole[i]!, 5);
});

test.each([
  [{ positions: "sin" }, /positions: Invalid option: expected one of "rope"\|"sincos"\|"learned"\|"none"/],
  [{ norm: "rmsnorm", ffn: "relu" }, /ffn: .*; norm: /],
  [{ numHeads: 3 }, /hiddenDim must be a multiple of numHeads/],
  [{ hiddenDim: 12 }, /rope turns pairs: hiddenDim \/ numHeads must be even/],
  [{ numLayers: 0 }, /numLayers: /],
  [{ dropout: 1 }, /dropout: /],
  [{ vocabSize: undefined }, /vocabSize: /],
  [{ layers: 2 }, /Unrecognized key: "layers"/],
])("a configuration that no model has is refused by field: %o", (change, message) => {
  const build = () => new Transformer({ ...tinyConfig(), ...(change as Partial<ModelConfig>) });
  expect(build).toThrow(message);
  expect(build).toThrow(UserError);
});
