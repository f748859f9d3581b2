// One digest on every machine: the same training run with each instruction set that this processor has, portable C among
// them, and with one thread or several.

import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Backend, Precision } from "../../src/backend/backend.ts";
import { usableIsas } from "../../src/backend/cpu/build.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { digestBytes } from "../../src/util/digest.ts";
import { openCpuVariants, testIsas } from "../backend/devices.ts";
import { type RigRun, TrainRig, tinyOptions } from "./rig.ts";

const THREADS = [1, 3];
const isas = { f32: testIsas(), bf16: [...new Set([...usableIsas("bf16"), ...testIsas()])] };
const open = (precision: Precision) => openCpuVariants(isas[precision], THREADS, precision);
const devices = { f32: await open("f32"), bf16: await open("bf16") };
afterAll(() => {
  for (const { backend } of [...devices.f32, ...devices.bf16]) backend.close();
});

/** Sizes that no vector or tile divides; clipped steps, dropout, evaluations; two shapes of micro-batch. */
const run: RigRun = {
  options: { ...tinyOptions, contextWindow: 13, batchTokens: 7 * 13, microBatch: 4, steps: 8, clip: 0.5 },
  checkpointEvery: 4,
  evalEvery: 3,
};
const sizes = {
  contextWindow: 13,
  hiddenDim: 36,
  numHeads: 6,
  numKvHeads: 2,
  ffnDim: 51,
  vocabSize: 257,
  dropout: 0.1,
};
const models: Record<string, Partial<ModelConfig>> = {
  "the baseline": sizes,
  "one head of odd width, learned positions, LayerNorm, GELU and biases": {
    ...{ ...sizes, hiddenDim: 21, numHeads: 1, numKvHeads: 1 },
    ...{ positions: "learned", norm: "layer", ffn: "gelu", bias: true, tied: false },
  },
};

/** Digest of the weights and the curve at the end of a run that goes on, after each of `stops`, on the next device. */
async function digestOfRun(model: Partial<ModelConfig>, backends: readonly Backend[], stops: readonly number[] = []) {
  using rig = new TrainRig();
  for (const [i, stopAfter] of stops.entries()) {
    await expect(rig.run({ ...run, model, backend: backends[i]!, stopAfter })).rejects.toThrow(/abort/i);
  }
  const { metrics, measured } = await rig.run({ ...run, model, backend: backends[stops.length]! });
  expect(measured.resumedFrom).toBe(stops.at(-1) ?? 0);
  expect(rig.warnings).toEqual([]);
  return `${digestBytes(readFileSync(path.join(rig.folder, "model.safetensors")))} ${digestBytes(metrics.text())}`;
}

describe.skipIf(devices.f32.length === 0)("on the cpu device", () => {
  test.each(Object.entries(models))("a training run has one digest in f32: %s", async (_, model) => {
    const digests = new Map<string, string>();
    for (const { name, backend } of devices.f32) digests.set(name, await digestOfRun(model, [backend]));
    expect(new Set(digests.values()).size, JSON.stringify([...digests], undefined, 1)).toBe(1);
  });

  test("a run that goes on after a stop with other instructions and threads ends with the same digest", async () => {
    const backends = devices.f32.map(({ backend }) => backend);
    const stops = backends.slice(1).map((_, i) => i + 1);
    const expected = await digestOfRun(sizes, [backends[0]!]);
    expect(await digestOfRun(sizes, backends, stops)).toBe(expected);
    expect(await digestOfRun(sizes, backends.toReversed(), stops)).toBe(expected);
  });

  test("a training run in bf16 has one digest in each class of instruction sets", async () => {
    const digests = new Map<string, Set<string>>();
    for (const { backend } of devices.bf16) {
      const { determinismClass } = backend.info;
      const found = digests.get(determinismClass) ?? new Set();
      digests.set(determinismClass, found.add(await digestOfRun(sizes, [backend])));
    }
    expect([...digests].map(([name, found]) => [name, found.size])).toEqual(
      [...digests.keys()].map((name) => [name, 1]),
    );
    const inF32 = await digestOfRun(sizes, [devices.f32[0]!.backend]);
    expect([...digests.values()].some((found) => found.has(inF32))).toBe(false);
  });
});
