// Whole trainings on a GPU: the same bits twice, and the losses of the cpu device. Only where STLM_TEST_DRIVER names a GPU's driver.

import { afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { createCpuBackend } from "../../src/backend/cpu/index.ts";
import { createCudaBackend } from "../../src/backend/cuda/index.ts";
import { presets } from "../../src/models/presets.ts";
import { isUserError } from "../../src/util/errors.ts";
import { driverUnderTest, isSimulated } from "../backend/cuda/driver-under-test.ts";
import { type ShortRun, shortRun } from "./short-run.ts";

if (isSimulated) console.error("Trainings on a GPU are not tested: `make test-gpu` does, where there is one.");

const { nano, "stlm-50m": stlm50m } = presets;
const SMALL: ShortRun = { config: nano.config, steps: 20, sequences: 24, microBatch: 8 };
const TABLE_1: ShortRun = { config: stlm50m.config, steps: 4, sequences: 48, microBatch: 24 };
const LONG: ShortRun = { config: { ...nano.config, dropout: 0 }, steps: 200, sequences: 8, microBatch: 8 };
/** Single steps differ by more: their last bits differ, and training spreads that. */
const AVERAGED_STEPS = 20;
const MINUTES = 60_000;

describe.skipIf(isSimulated)("on a GPU", () => {
  const open: Backend[] = [];
  beforeAll(async () => {
    process.env["STLM_CUDA_LIBRARY"] = await driverUnderTest();
  });
  afterEach(() => {
    for (const backend of open.splice(0)) backend.close();
  });
  const opened = async (backend: Promise<Backend>) => {
    open.push(await backend);
    return open.at(-1)!;
  };

  test.each([
    ["a small model", SMALL],
    ["the model of table 1", TABLE_1],
  ])("%s trains to the same bits twice, by graphs and call by call", { timeout: 3 * MINUTES }, async (_, run) => {
    const first = await shortRun(await opened(createCudaBackend()), run);
    expect(await shortRun(await opened(createCudaBackend()), run)).toEqual(first);
    expect(await shortRun(await opened(createCudaBackend({ graphs: false })), run)).toEqual(first);
    for (const loss of first.losses) expect(loss).toBeGreaterThan(0);
  });

  test("the losses of 200 steps are those of the cpu device to 1 %", { timeout: 5 * MINUTES }, async () => {
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
