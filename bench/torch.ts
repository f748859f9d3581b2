// The PyTorch peer: a training script outside the product that prints one JSON object. STLM_TORCH_PEER names it,
// STLM_TORCH_PYTHON the Python that has torch, STLM_TORCH_BLAS a folder with the BLAS library that it should load.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import type { Row } from "./rows.ts";
import { nameOf, STEP_PRESETS, type StepCase } from "./step-cases.ts";

const run = promisify(execFile);
const PYTHON = process.env["STLM_TORCH_PYTHON"] ?? "/usr/bin/python3";
const LIMIT_MS = 600_000;

/** glibc would return every large tensor to the kernel, and each step would fault its pages again. */
const ALLOCATOR = {
  MALLOC_MMAP_THRESHOLD_: "1000000000",
  MALLOC_TRIM_THRESHOLD_: "4000000000",
  MALLOC_TOP_PAD_: "268435456",
};

export interface TorchPeer {
  readonly description: string;
  /** The same step; its bf16 is autocast. */
  step(step: StepCase): Promise<Row[]>;
  /** What the script prints for these arguments. */
  json<Result>(args: readonly string[]): Promise<Result>;
}

/** The peer, or in one sentence why there is none. */
export async function findTorch(): Promise<TorchPeer | string> {
  const script = process.env["STLM_TORCH_PEER"];
  if (!script) return "no PyTorch rows: STLM_TORCH_PEER does not name the peer's script";
  if (!existsSync(script)) return `no PyTorch rows: there is no ${script}`;
  const blas = process.env["STLM_TORCH_BLAS"];
  const env = { ...process.env, ...ALLOCATOR, ...(blas === undefined ? {} : { LD_LIBRARY_PATH: blas }) };
  const python = (args: string[]) => run(PYTHON, args, { env, timeout: LIMIT_MS, maxBuffer: 1 << 26 });
  let version: string;
  try {
    version = (await python(["-c", "import torch; print(torch.__version__)"])).stdout.trim();
  } catch {
    return `no PyTorch rows: ${PYTHON} cannot import torch`;
  }
  const json = async <Result>(args: readonly string[]) =>
    JSON.parse((await python([script, ...args])).stdout) as Result;
  return {
    json,
    description: `torch ${version}, tuned allocator, ${blas === undefined ? "stock BLAS" : "BLAS of STLM_TORCH_BLAS"}`,
    async step(step) {
      const { peer, steps, warmUp } = STEP_PRESETS[step.preset];
      const size = [...peer, "--steps", String(steps), "--warmup", String(warmUp)];
      const mode = ["--dtype", step.precision === "bf16" ? "bf16-autocast" : "f32", "--threads", String(step.threads)];
      const result = await json<{ tokens_per_s: number; cpu_s_per_step: number; peak_rss_mib: number }>([
        ...size,
        ...mode,
      ]);
      const name = `${nameOf(step)}, PyTorch`;
      return [
        { suite: "train step", name, value: result.tokens_per_s, unit: "tokens/s" },
        { suite: "train step", name, value: result.cpu_s_per_step, unit: "CPU s/step" },
        { suite: "train step", name, value: result.peak_rss_mib, unit: "MiB peak" },
      ];
    },
  };
}
