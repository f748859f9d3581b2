// A toy training on the simulated GPU ends with the stored bits, whatever order its threads take, whenever copies arrive, and whether
// its steps are graphs or calls. A change of the digest is a change of what every run on the device computes: `UPDATE_GOLDEN=1` writes it.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { Backend } from "../../../src/backend/backend.ts";
import { DevicePool } from "../../../src/backend/cuda/device-pool.ts";
import { type CudaOptions, createCudaBackend } from "../../../src/backend/cuda/index.ts";
import type { ModelConfig } from "../../../src/models/config.ts";
import { type ShortRunResult, shortRun } from "../../gpu/short-run.ts";
import { controlsUnavailable, DriverRig } from "./driver-rig.ts";

const missing = controlsUnavailable();
if (missing) console.error(`The toy training is not tested: ${missing}`);

const golden = path.join(import.meta.dirname, "..", "..", "golden", "cuda-toy-training.json");
const config: ModelConfig = {
  ...{ vocabSize: 50, contextWindow: 12, hiddenDim: 32, numLayers: 2, numHeads: 2, numKvHeads: 1, ffn: "swiglu" },
  ...{ ffnDim: 40, positions: "rope", norm: "rms", tied: true, bias: false, init: "default", dropout: 0.1 },
};
const SCHEDULES = [0, 1, 2];
const COPIES = [0, 1];

describe.skipIf(missing)("a toy training on the simulated GPU", () => {
  let rig: DriverRig;
  beforeAll(async () => {
    rig = await DriverRig.create();
  }, 300_000);

  async function train(options: CudaOptions = {}, changed = (device: Backend) => device): Promise<ShortRunResult> {
    const backend = await createCudaBackend({ gemm: "own", ...options });
    try {
      return await shortRun(changed(backend), { config, steps: 3, sequences: 3, microBatch: 2 });
    } finally {
      backend.close();
    }
  }

  test("has the stored digest", async () => {
    rig.reset();
    const { digest, losses } = await train();
    expect(losses).toHaveLength(3);
    for (const loss of losses) expect(Math.abs(loss - Math.log(50))).toBeLessThan(1);
    if (process.env["UPDATE_GOLDEN"]) writeFileSync(golden, `${JSON.stringify({ digest, losses })}\n`);
    expect({ digest, losses }).toEqual(JSON.parse(readFileSync(golden, "utf8")));
  });

  test.each(SCHEDULES.flatMap((schedule) => COPIES.map((copies) => [schedule, copies] as const)))(
    "has it with threads in order %i and copies %i, from graphs and from calls",
    async (schedule, copies) => {
      const { digest } = JSON.parse(readFileSync(golden, "utf8"));
      for (const graphs of [true, false]) {
        rig.reset();
        rig.setSchedule(schedule, copies, 11);
        if (graphs) rig.defer();
        expect((await train({ graphs })).digest).toBe(digest);
      }
    },
  );

  test("has it when the memory of its recordings is full of NaNs each time they begin", async () => {
    rig.reset();
    const allocate = vi.spyOn(DevicePool.prototype, "allocate");
    let fills = 0;
    const spoiled = (backend: Backend): Backend => ({
      ...backend,
      record: (body) => {
        let before = 0;
        const recording = backend.record!(() => {
          body();
          before = allocate.mock.calls.length;
        });
        // A recording asks for all its memory at once, when its body is done.
        const [arena, ...others] = allocate.mock.results.slice(before).map(({ value }) => value as bigint);
        const bytes = allocate.mock.calls[before]?.[0] ?? 0;
        expect(others).toEqual([]);
        const replay = () => {
          if (arena !== undefined) rig.fill(arena, bytes, 0xff);
          fills += bytes > 0 ? 1 : 0;
          recording.replay();
        };
        return { replay, close: () => recording.close() };
      },
    });
    try {
      const { digest } = await train({}, spoiled);
      expect(digest).toBe(JSON.parse(readFileSync(golden, "utf8")).digest);
      expect(fills).toBe(3 * 3); // in each step two micro-batches and the update
    } finally {
      allocate.mockRestore();
    }
  });
});
