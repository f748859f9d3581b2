// The GPU benchmark from its start to its file, on the simulated GPU and beside a stand-in for the PyTorch peer.

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { projection } from "../../bench/gpu/table.ts";
import { buildSimulator, simulatorUnavailable } from "../../src/backend/cuda/simulator/build.ts";
import { packageRoot } from "../../src/util/package-root.ts";

const missing = simulatorUnavailable();
if (missing) console.error(`The GPU benchmark is not tested: ${missing}`);

const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-bench-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Prints as much of the peer's answer as the benchmark reads, and the arguments that it was given. */
const PEER = `console.log(JSON.stringify({
  torch: "0", tokens_per_s: 1000, step_ms: { median: 1 }, peak_cuda_mib: 3, args: process.argv.slice(2).join(" "),
}));`;

test.skipIf(missing)(
  "measures rates, memory and kernels, asks the peer for the same sizes, and writes all of it",
  async () => {
    const peer = path.join(folder, "peer.mjs");
    writeFileSync(peer, PEER);
    const env = {
      ...process.env,
      ...{ STLM_CUDA_LIBRARY: await buildSimulator(), STLM_CUBLASLT_LIBRARY: "none", STLM_NVML_LIBRARY: "none" },
      ...{ STLM_BENCH_OUT: folder, STLM_TORCH_PEER: peer, STLM_TORCH_PYTHON: process.execPath, STLM_CUDA_GEMM: "" },
    };
    const args = ["--import", "tsx", path.join("bench", "gpu", "run.ts"), "--trial"];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: packageRoot(), env });
    expect(stdout).toMatch(/\| tiny +\| stlm, own +\| +4 x 1 \| +[\d,]+ \|/);
    expect(stdout).toMatch(/\| tiny +\| torch --compile +\| +2 x 2 \| +1,000 \|.*3\.1\d? MB/);
    expect(stdout).toMatch(/\| gemm_nn_64x64 \d+x\d+x\d+ +\| +\d+ \| +[\d.]+ \| [\d. ]+% \|/);
    const { about, results, leftOut } = JSON.parse(readFileSync(path.join(folder, "gpu-cuda-simulator.json"), "utf8"));
    expect(about.gpu.name).toBe("CUDA simulator");
    expect(leftOut).toEqual([]);
    expect(results).not.toEqual([]);
    for (const { failure } of results) expect(failure).toBeUndefined();
    expect(results[0].ours).toMatchObject({ measures: { gpu: "CUDA simulator", gemm: "own" } });
    expect(results[0].ours.tokensPerSecond).toBeGreaterThan(0);
    const compiled = results.find(({ engine }: { engine: string }) => engine === "torch --compile");
    expect(compiled.peer.args).toContain(
      "--device cuda --dtype bf16-autocast --layers 1 --hidden 32 --heads 2 --kv-heads 1 --ffn 48 --vocab 64 --context 16 --batch 2 --accum 2",
    );
    expect(compiled.peer.args).toMatch(/--compile$/);
  },
  120_000,
);

test("the hours of table 1 follow from the best rate of the 50m model", () => {
  const row = { model: "50m", accumulate: 20, expectedSeconds: 1, microBatch: 24 } as const;
  const peer = (tokens_per_s: number) => ({ torch: "2", step_ms: { median: 1 }, tokens_per_s });
  const rows = [
    { ...row, engine: "torch", peer: peer(853_333) } as const,
    { ...row, engine: "torch", peer: peer(500_000) } as const,
    { ...row, engine: "stlm", failure: "no memory" } as const,
  ];
  const [only, ...others] = projection(rows);
  expect(others).toEqual([]);
  expect(only!.engine).toBe("torch");
  expect(only!.table1GpuHours).toBeCloseTo(2, 3);
});
