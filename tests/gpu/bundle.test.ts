// The bundle for GPU machines: its files run by Node.js alone, in an empty environment, outside of the repository.

import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { packageRoot } from "../../src/util/package-root.ts";
import { driverUnavailable, driverUnderTest, isSimulated } from "../backend/cuda/driver-under-test.ts";

const missing = driverUnavailable() ?? (isSimulated ? undefined : "it is what runs now");
if (missing) console.error(`The bundle for GPU machines is not tested: ${missing}`);

const run = promisify(execFile);
const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-gpu-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Stands for the PyTorch script; run by sh. */
const PEER = `compiled=false
for option in "$@"; do [ "$option" = --compile ] && compiled=true; done
echo "{\\"compiled\\": $compiled, \\"tokens_per_s\\": 1e6, \\"torch\\": \\"none\\", \\"step_ms\\": {\\"median\\": 1}}"
`;

test.skipIf(missing)(
  "has test files and a benchmark that need nothing but Node.js and a driver",
  async () => {
    const root = packageRoot();
    const script = path.join("scripts", "gpu-bundle.ts");
    const peer = `${folder}-peer`;
    writeFileSync(peer, PEER);
    const env = { ...process.env, STLM_TORCH_PEER: peer };
    await run(process.execPath, ["--import", "tsx", script, "--folder", folder], { cwd: root, env });
    rmSync(peer);
    const names = readdirSync(path.join(folder, "tests"));
    expect(names).toContain("gpu-training.mjs");
    expect(names).toContain("backend-cuda-kernels.mjs");
    const driver = await driverUnderTest();
    const bare: Bare = (file, args, env) =>
      run(process.execPath, [path.join(folder, file), ...args], { cwd: os.tmpdir(), env: { HOME: folder, ...env } });
    const { stdout } = await bare("tests/backend-cuda-launch.mjs", [], { STLM_TEST_DRIVER: driver });
    expect(stdout).toMatch(/^tests\/backend\/cuda\/launch\.test\.ts: \d\d+ passed, 0 failed, 0 skipped/m);
    // As in the suite, property tests draw the same cases on every run: what sees to that is in the bundle.
    const odd = { STLM_TEST_DRIVER: driver, STLM_TEST_SEED: "odd" };
    await expect(bare("tests/backend-cuda-launch.mjs", [], odd)).rejects.toMatchObject({
      stderr: expect.stringContaining('STLM_TEST_SEED is "odd"'),
    });
    await expect(bare("test.mjs", [], { STLM_TEST_DRIVER: "/nowhere/libcuda.so.1" })).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("/nowhere/libcuda.so.1"),
    });
    await expect(bare("bench.mjs", [], { STLM_CUDA_LIBRARY: "none" })).rejects.toMatchObject({ code: 1 });
    await expect(bare("bench.mjs", [], { STLM_BENCH_SECONDS: "soon" })).rejects.toMatchObject({
      code: 2,
      stderr: 'STLM_BENCH_SECONDS is "soon": give a number of seconds, such as 450.\n',
    });
    await holdBenchmark(bare, driver);
  },
  240_000,
);

type Bare = (file: string, args: readonly string[], env: Record<string, string>) => Promise<{ stdout: string }>;

/** The whole benchmark on a tiny model: our rows, those of the peer with and without its compiler, and what a failure looks like. */
async function holdBenchmark(bare: Bare, driver: string): Promise<void> {
  const results = () => JSON.parse(readFileSync(path.join(folder, "out", "gpu-cuda-simulator.json"), "utf8"));
  const settings = {
    STLM_CUDA_LIBRARY: driver,
    STLM_BENCH_OUT: path.join(folder, "out"),
    STLM_TORCH_PYTHON: "/bin/sh",
  };
  const { stdout } = await bare("bench.mjs", ["--trial"], settings);
  for (const engine of ["stlm", "stlm, own", "torch", "torch --compile"]) expect(stdout).toContain(`| ${engine} `);
  expect(stdout).toMatch(/attention_16 +\| +2 \|/);
  expect(stdout).not.toContain("failed");
  expect(stdout).toMatch(/^tiny: \d+\.\d\d x torch --compile$/m);
  const compiled = results().results.map(({ peer }: { peer?: { compiled: boolean } }) => peer?.compiled);
  expect(compiled).toEqual([undefined, undefined, undefined, true, false]);

  const failing = bare("bench.mjs", ["--trial"], {
    ...settings,
    STLM_CUDA_GEMM: "fastest",
    STLM_TORCH_PYTHON: "/nowhere",
  });
  const { stdout: told } = (await failing.catch((error: unknown) => error)) as { stdout: string };
  expect(told).toContain("tiny, stlm, 2 x 2: STLM_CUDA_GEMM is fastest.\nIt can be own, cublaslt, tuned, or left out.");
  expect(told).toContain("tiny, torch, 2 x 2: spawn /nowhere ENOENT");
  expect(results().results).toHaveLength(5);
}
