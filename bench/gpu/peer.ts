// The PyTorch peer on the same GPU: the script that STLM_TORCH_PEER names, with the sizes of our models.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
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

/** Why there is no peer, or undefined. */
export function peerUnavailable(): string | undefined {
  const script = process.env["STLM_TORCH_PEER"];
  if (!script) return "STLM_TORCH_PEER does not name the peer's script";
  return existsSync(script) ? undefined : `there is no ${script}`;
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
    process.env["STLM_TORCH_PEER"]!,
    ...["--preset", request.model === "10m" ? "10m" : "50m", "--device", "cuda", "--dtype", "bf16-autocast"],
    ...Object.entries(sizes).flatMap(([name, value]) => [`--${name}`, String(value)]),
    ...(request.compile ? ["--compile"] : []),
  ];
  const python = process.env["STLM_TORCH_PYTHON"] ?? "python3";
  const { stdout } = await run(python, args, { timeout: limitMs, killSignal: "SIGKILL", maxBuffer: 1 << 26 });
  return JSON.parse(stdout) as PeerMeasurement;
}
