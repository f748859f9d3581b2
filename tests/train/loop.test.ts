import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { type RigRun, TrainRig } from "./rig.ts";

const weights = (rig: TrainRig) => readFileSync(path.join(rig.folder, "model.safetensors"));

async function uninterrupted(run: RigRun = {}) {
  using rig = new TrainRig();
  const result = await rig.run(run);
  return { weights: weights(rig), curve: result.metrics.text(), result };
}

test("a run stopped after any step and started again ends with the same bytes", async () => {
  const expected = await uninterrupted();
  for (let stopAfter = 1; stopAfter <= 7; stopAfter++) {
    using rig = new TrainRig();
    await expect(rig.run({ stopAfter })).rejects.toThrow(/abort/i);
    const result = await rig.run();
    expect(result.measured.resumedFrom, `stopped after ${stopAfter}`).toBe(stopAfter);
    expect(weights(rig).equals(expected.weights)).toBe(true);
    expect(result.metrics.text()).toBe(expected.curve);
    expect(rig.warnings).toEqual([]);
  }
});

test("a run killed without warning goes on from its last checkpoint and ends with the same bytes", async () => {
  const expected = await uninterrupted();
  using rig = new TrainRig();
  await expect(rig.run({ stopAfter: 5 })).rejects.toThrow();
  // What a kill after step 5 leaves: the checkpoint of step 4, and half a folder of the next one.
  const newest = path.join(rig.checkpointFolder, "step-000000005");
  writeFileSync(path.join(newest, "state.safetensors"), "half");
  const result = await rig.run();
  expect(result.measured.resumedFrom).toBe(4);
  expect(weights(rig).equals(expected.weights)).toBe(true);
  expect(result.metrics.text()).toBe(expected.curve);
});

test.each(["state.safetensors", "metrics.jsonl", "checkpoint.json"])(
  "a checkpoint with a damaged %s is named and the one before it used",
  async (file) => {
    const expected = await uninterrupted();
    using rig = new TrainRig();
    await expect(rig.run({ stopAfter: 6 })).rejects.toThrow();
    const damaged = path.join(rig.checkpointFolder, "step-000000006", file);
    const bytes = readFileSync(damaged);
    bytes[Math.floor(bytes.length / 2)]! ^= 0x40;
    writeFileSync(damaged, bytes);
    const result = await rig.run();
    expect(result.measured.resumedFrom).toBe(4);
    expect(rig.warnings).toHaveLength(1);
    expect(rig.warnings[0]).toContain("step-000000006");
    expect(weights(rig).equals(expected.weights)).toBe(true);
  },
);

test("only the last two checkpoints are kept, and another run's checkpoint is not used", async () => {
  using rig = new TrainRig();
  await rig.run({ checkpointEvery: 1 });
  expect(readdirSync(rig.checkpointFolder).sort()).toEqual(["step-000000005", "step-000000006"]);
  const other = await rig.run({ options: { learningRate: 2e-2 } });
  expect(other.measured.resumedFrom).toBe(0);
  expect(rig.warnings.join()).toContain("other parameters");
});

test("evaluations and checkpoints in between do not change the weights", async () => {
  const often = await uninterrupted({ evalEvery: 1, checkpointEvery: 1 });
  const never = await uninterrupted({ evalEvery: 1000, checkpointEvery: 1000 });
  expect(often.weights.equals(never.weights)).toBe(true);
});

test("the curve has a line a step and a line an evaluation, the last one at the end", async () => {
  const { curve, result } = await uninterrupted();
  const lines = curve
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.map(({ step, loss }) => `${step}${loss === undefined ? " evaluated" : ""}`)).toEqual([
    "1",
    "2",
    "3",
    "3 evaluated",
    "4",
    "5",
    "6",
    "6 evaluated",
    "7",
    "7 evaluated",
  ]);
  expect(lines.map(({ tokens, step }) => tokens / step)).toEqual(lines.map(() => 64));
  expect(result.evaluation.val_loss).toBeGreaterThan(0);
  expect(result.diverged).toBeUndefined();
});

test("a run that diverges ends as a result with finite weights and its curve", async () => {
  const { result, weights: saved } = await uninterrupted({ options: { learningRate: 1e30, clip: 1e30, steps: 50 } });
  expect(result.diverged).toMatch(/is (NaN|Infinity) at step \d+/);
  expect(result.metrics.text()).toContain('"loss":null');
  const header = Number(saved.readBigUInt64LE());
  const values = new Float32Array(saved.buffer.slice(saved.byteOffset + 8 + header, saved.byteOffset + saved.length));
  expect(values.every(Number.isFinite)).toBe(true);
});

test("a loss above the declared bound after the warm-up is a divergence", async () => {
  const { result } = await uninterrupted({ options: { maxLoss: 0.5 } });
  expect(result.diverged).toMatch(/the loss \d\.\d+ is above the bound 0.5 at step 3/);
  expect(result.evaluation.step).toBe(2);
});
