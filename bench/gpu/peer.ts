// The PyTorch peer on the same GPU, with the sizes of our models: the script that STLM_TORCH_PEER names, or torch_train.py in the folder
// of this package, where the bundle for GPU machines has it.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { packageRoot } from "../../src/util/package-root.ts";
import { BENCH_MODELS, type BenchModel } from "./models.ts";

const run = promisify(execFile);

export interface PeerRequest {
  readonly model: BenchModel;
  readonly microBatch: number;
  readonly accumulate: number;
  readonly compile: boolean;
  readonly steps: number;
}

/** As far as the script's answer is read; all of it is kept. */
export interface PeerMeasurement {
  readonly tokens_per_s: number;
  readonly torch: string;
  readonly step_ms: { readonly median: number };
  readonly peak_cuda_mib?: number;
}

function script(): string {
  return process.env["STLM_TORCH_PEER"] || path.join(packageRoot(), "torch_train.py");
}

/** Why there is no peer, or undefined. */
export function peerUnavailable(): string | undefined {
  return existsSync(script()) ? undefined : `there is no ${script()} (STLM_TORCH_PEER names the peer's script)`;
}

/** Rejects where the script fails or is not done in time. */
export async function measurePeer(request: PeerRequest, limitMs: number): Promise<PeerMeasurement> {
  const { contextWindow, hiddenDim, numLayers, numHeads, numKvHeads, ffnDim, vocabSize } = BENCH_MODELS[request.model];
  const sizes = {
    ...{ layers: numLayers, hidden: hiddenDim, heads: numHeads, "kv-heads": numKvHeads, ffn: ffnDim },
    ...{ vocab: vocabSize, context: contextWindow, batch: request.microBatch, accum: request.accumulate },
    ...{ steps: request.steps, warmup: 3, threads: 8 },
  };
  const args = [
    script(),
    ...["--preset", request.model === "10m" ? "10m" : "50m", "--device", "cuda", "--dtype", "bf16-autocast"],
    ...Object.entries(sizes).flatMap(([name, value]) => [`--${name}`, String(value)]),
    ...(request.compile ? ["--compile"] : []),
  ];
  const python = process.env["STLM_TORCH_PYTHON"] ?? "python3";
  const { stdout } = await run(python, args, {
    timeout: Math.ceil(limitMs),
    killSignal: "SIGKILL",
    maxBuffer: 1 << 26,
  });
  return JSON.parse(stdout) as PeerMeasurement;
}
