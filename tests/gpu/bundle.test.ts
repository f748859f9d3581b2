// The bundle for GPU machines: its files run by Node.js alone, in an empty environment, outside of the repository.

import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
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

test.skipIf(missing)(
  "has test files and a benchmark that need nothing but Node.js and a driver",
  async () => {
    const root = packageRoot();
    const script = path.join("scripts", "gpu-bundle.ts");
    await run(process.execPath, ["--import", "tsx", script, "--folder", folder], { cwd: root });
    const names = readdirSync(path.join(folder, "tests"));
    expect(names).toContain("gpu-training.mjs");
    expect(names).toContain("backend-cuda-kernels.mjs");
    const driver = await driverUnderTest();
    const bare = (file: string, env: Record<string, string>) =>
      run(process.execPath, [path.join(folder, file)], { cwd: os.tmpdir(), env: { HOME: folder, ...env } });
    const { stdout } = await bare("tests/backend-cuda-launch.mjs", { STLM_TEST_DRIVER: driver });
    expect(stdout).toMatch(/^tests\/backend\/cuda\/launch\.test\.ts: \d\d+ passed, 0 failed, 0 skipped/m);
    await expect(bare("test.mjs", { STLM_TEST_DRIVER: "/nowhere/libcuda.so.1" })).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("/nowhere/libcuda.so.1"),
    });
    await expect(bare("bench.mjs", { STLM_CUDA_LIBRARY: "none" })).rejects.toMatchObject({ code: 1 });
  },
  120_000,
);
