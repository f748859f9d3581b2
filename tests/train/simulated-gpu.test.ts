// Whole training runs on the simulated GPU, by the code that drives a real one: evaluations, checkpoints, divergence.

import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createCudaBackend } from "../../src/backend/cuda/index.ts";
import type { TrainerOptions } from "../../src/train/trainer.ts";
import { DriverRig, driverUnavailable } from "../backend/cuda/driver-rig.ts";
import { type RigRun, TrainRig, tinyOptions } from "./rig.ts";

const missing = driverUnavailable();
if (missing) console.error(`Training on a GPU is not tested: ${missing}`);

/** Two sequences at once, then one; dropout that changes with the step; gradients that are clipped. */
const options: TrainerOptions = {
  ...{ ...tinyOptions, batchTokens: 48, microBatch: 2, steps: 4, clip: 0.5 },
  dropout: { probability: 0.2, schedule: { shape: "triangle", cycles: 1, trough: 0 } },
};

describe.skipIf(missing)("on the simulated GPU", () => {
  let rig: DriverRig;
  beforeAll(async () => {
    rig = await DriverRig.create();
  }, 300_000);
  beforeEach(() => {
    rig.reset();
    rig.defer(); // results come as late as the driver may let them
  });

  async function run(folder: TrainRig, settings: RigRun) {
    const backend = await createCudaBackend({ gemm: "own" });
    try {
      const { metrics, diverged, measured, evaluation } = await folder.run({ ...settings, backend });
      const weights = readFileSync(path.join(folder.folder, "model.safetensors")).toString("base64");
      return { weights, curve: metrics.text(), diverged, evaluation, resumedFrom: measured.resumedFrom };
    } finally {
      backend.close();
    }
  }

  test("a run that is stopped and started again ends with the same bytes", { timeout: 120_000 }, async () => {
    using whole = new TrainRig();
    using parted = new TrainRig();
    const settings = { options, evalEvery: 2, checkpointEvery: 2 };
    const expected = await run(whole, settings);
    expect(expected.evaluation.val_loss).toBeGreaterThan(0);
    await expect(run(parted, { ...settings, stopAfter: 2 })).rejects.toThrow(/abort/i);
    const { resumedFrom, ...resumed } = await run(parted, settings);
    expect(resumedFrom).toBeGreaterThanOrEqual(2);
    expect({ ...resumed, resumedFrom: 0 }).toEqual(expected);
  });

  test("steps queued behind a divergence leave the weights as they were", { timeout: 120_000 }, async () => {
    using ahead = new TrainRig();
    using waiting = new TrainRig();
    const diverging = { ...options, learningRate: 1e30, clip: 1e30 };
    const { curve, weights, diverged } = await run(ahead, { options: diverging, evalEvery: 9, checkpointEvery: 9 });
    expect(diverged).toBe("the loss is NaN at step 2");
    expect(curve.split("\n")[1]).toContain('"loss":null');
    const expected = await run(waiting, { options: diverging, evalEvery: 9, checkpointEvery: 1 });
    expect({ curve, weights, diverged }).toEqual({
      curve: expected.curve,
      weights: expected.weights,
      diverged: expected.diverged,
    });
  });

  test("rows of bf16 activations are chosen as they are", async () => {
    const backend = await createCudaBackend({ gemm: "own" });
    for (const C of [16, 5]) {
      const [table, y, ids] = [
        backend.allocate("bf16", 3 * C),
        backend.allocate("bf16", 4 * C),
        backend.allocate("i32", 4),
      ];
      backend.write(table, Float32Array.from({ length: 3 * C }, Math.sin));
      backend.write(ids, Int32Array.of(2, 0, 2, 1));
      backend.kernels.embedding({ y, table, ids, N: 4, T: 1, C, V: 3 });
      const rows = backend.read(table);
      const row = (n: number) => [...rows.subarray(n * C, (n + 1) * C)];
      expect([...backend.read(y)]).toEqual([2, 0, 2, 1].flatMap(row));
    }
    backend.close();
  });
});
