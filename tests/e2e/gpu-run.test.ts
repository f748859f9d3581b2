// `repro --device auto` with a bf16 training on the simulated GPU: the same command that trains on a real one. Killed in the middle it
// ends with the bytes of a run that nobody disturbed, and its record says what computed it.

import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { buildSimulator, simulatorUnavailable } from "../../src/backend/cuda/simulator/build.ts";
import { LabRig } from "../rigs/lab-rig.ts";
import { killTree } from "../rigs/process-tree.ts";

const missing = simulatorUnavailable();
if (missing) console.error(`Runs on a GPU are not tested: ${missing}`);

const TARGET = "train[model=wide,seed=1]";
const STEPS = ["--set", "train.precision=bf16", "--set", "train.steps=24", "--set", "train.evalEvery=12"];

test.skipIf(missing)("a bf16 training takes the GPU, and is resumed after a kill", { timeout: 240_000 }, async () => {
  const environment = {
    STLM_CUDA_LIBRARY: await buildSimulator(),
    STLM_CUBLASLT_LIBRARY: "none",
    STLM_NVML_LIBRARY: "none",
  };
  const run = async (lab: LabRig, ...args: string[]) => {
    const { code, stdout, stderr } = await lab.start(args, environment).ended;
    expect(code, stderr + stdout).toBe(0);
    return stdout;
  };
  const record = async (lab: LabRig) => JSON.parse(await run(lab, "show", TARGET, "--json"));

  using calm = LabRig.create();
  await run(calm, "repro", TARGET, ...STEPS);
  const expected = await record(calm);
  expect(expected.provenance.measures).toMatchObject({
    gpu: "CUDA simulator",
    gemm: "own",
    device: expect.stringMatching(/^cuda \(CUDA simulator, sm_80, .*own matrix products\)$/),
    kernels: expect.stringMatching(/^[0-9a-f]{16}$/),
    tokens_per_second: expect.any(Number),
  });
  expect(JSON.stringify(expected.preimage)).toContain("cuda-bf16-sm_80x4-own");
  expect(await run(calm, "show", TARGET)).toMatch(/^gpu +CUDA simulator$/m);

  using lab = LabRig.create();
  const { child, ended } = lab.start(["repro", TARGET, ...STEPS], environment);
  while (child.exitCode === null && !lab.hasCheckpoint()) await sleep(50);
  killTree(child.pid!);
  await ended;
  await run(lab, "repro", TARGET, ...STEPS);
  const resumed = await record(lab);
  expect(resumed.provenance.measures.resumed_from_step).toBeGreaterThan(0);
  expect(resumed.outputs).toEqual(expected.outputs);
});
