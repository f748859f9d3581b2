// Whole trainings: the same bits twice, and the losses of the cpu device. On a GPU with the models of people, which would take hours on
// the simulator; there with a tiny one, so that what a GPU is to run has run before.

import { afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { createCpuBackend } from "../../src/backend/cpu/index.ts";
import { createCudaBackend } from "../../src/backend/cuda/index.ts";
import { presets } from "../../src/models/presets.ts";
import { isUserError } from "../../src/util/errors.ts";
import { driverUnavailable, driverUnderTest, isSimulated } from "../backend/cuda/driver-under-test.ts";
import { type ShortRun, shortRun } from "./short-run.ts";

const missing = driverUnavailable();
if (missing) console.error(`Trainings on the device are not tested: ${missing}`);

const { nano, "stlm-50m": stlm50m } = presets;
const sizes = { vocabSize: 60, contextWindow: 16, hiddenDim: 32, numLayers: 1, numHeads: 2, numKvHeads: 1, ffnDim: 48 };
const TINY = { ...nano.config, ...sizes };
const SMALL: ShortRun = isSimulated
  ? { config: TINY, steps: 4, sequences: 4, microBatch: 2 }
  : { config: nano.config, steps: 20, sequences: 24, microBatch: 8 };
const TABLE_1: ShortRun = { config: stlm50m.config, steps: 4, sequences: 48, microBatch: 24 };
const LONG: ShortRun = isSimulated
  ? { config: { ...TINY, dropout: 0 }, steps: 60, sequences: 2, microBatch: 2 }
  : { config: { ...nano.config, dropout: 0 }, steps: 200, sequences: 8, microBatch: 8 };
/** Single steps differ by more: their last bits differ, and training spreads that. */
const AVERAGED_STEPS = 20;
const MINUTES = 60_000;

describe.skipIf(missing)("on the device", () => {
  const open: Backend[] = [];
  beforeAll(async () => {
    process.env["STLM_CUDA_LIBRARY"] = await driverUnderTest();
    if (isSimulated) for (const name of ["CUBLASLT", "NVML"]) process.env[`STLM_${name}_LIBRARY`] = "none";
  }, 300_000);
  afterEach(() => {
    for (const backend of open.splice(0)) backend.close();
  });
  const opened = async (backend: Promise<Backend>) => {
    open.push(await backend);
    return open.at(-1)!;
  };

  const runs: readonly (readonly [name: string, run: ShortRun])[] = [
    ["a small model", SMALL],
    ...(isSimulated ? [] : [["the model of table 1", TABLE_1] as const]),
  ];
  test.each(runs)(
    "%s trains to the same bits twice, by graphs and call by call",
    { timeout: 3 * MINUTES },
    async (_, run) => {
      const first = await shortRun(await opened(createCudaBackend()), run);
      expect(await shortRun(await opened(createCudaBackend()), run)).toEqual(first);
      expect(await shortRun(await opened(createCudaBackend({ graphs: false })), run)).toEqual(first);
      for (const loss of first.losses) expect(loss).toBeGreaterThan(0);
    },
  );

  test("the losses of a training are those of the cpu device to 1 %", { timeout: 5 * MINUTES }, async () => {
    const cpu = await opened(createCpuBackend()).catch((error: unknown) => {
      if (!isUserError(error)) throw error;
      console.error(`The losses are not compared: ${error.message}`);
      return undefined;
    });
    if (!cpu) return;
    const expected = (await shortRun(cpu, LONG)).losses;
    const actual = (await shortRun(await opened(createCudaBackend()), LONG)).losses;
    expect(actual).toHaveLength(LONG.steps);
    for (let step = 0; step < LONG.steps; step += AVERAGED_STEPS) {
      const mean = (losses: readonly number[]) =>
        losses.slice(step, step + AVERAGED_STEPS).reduce((sum, loss) => sum + loss, 0) / AVERAGED_STEPS;
      const label = `steps ${step + 1} to ${step + AVERAGED_STEPS}`;
      expect(Math.abs(mean(actual) / mean(expected) - 1), label).toBeLessThan(0.01);
    }
    expect(expected.at(-1)!).toBeLessThan(0.9 * expected[0]!);
  });
});
