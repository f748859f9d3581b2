// The GPU benchmark: `make bench-gpu`, or `node bench.mjs` in the bundle for GPU machines. Every measurement in a process of its own;
// the result is written anew after each, to bench/results/gpu-<name>.json or to STLM_BENCH_OUT. docs/gpu.md says how to read it.

import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { probeCuda } from "../../src/backend/cuda/probe.ts";
import { messageOf } from "../../src/util/errors.ts";
import { packageRoot } from "../../src/util/package-root.ts";
import { type Measurement, type MeasureRequest, measure } from "./measure.ts";
import { measurePeer, peerUnavailable } from "./peer.ts";
import { PLAN, type Task, TRIAL } from "./plan.ts";
import { kernelTables, projection, type Result, resultTable } from "./table.ts";

const run = promisify(execFile);

/** With the last task's own limit the whole ends within 8 minutes. */
const SECONDS = Number(process.env["STLM_BENCH_SECONDS"] ?? 450);
/** Of measured steps, each task of ours; a trial on the simulator has no figures to be steady. */
const MEASURED_SECONDS = { plan: 3, trial: 0.1 };
const LEAST_SECONDS = 8;

const [mode, request] = process.argv.slice(2);
if (mode === "--measure") console.log(JSON.stringify(await measure(JSON.parse(request!) as MeasureRequest)));
else process.exitCode = await benchmark(mode === "--trial" ? TRIAL : PLAN);

async function benchmark(plan: readonly Task[]): Promise<number> {
  const started = performance.now();
  const left = () => SECONDS - (performance.now() - started) / 1000;
  const probe = probeCuda();
  if (!probe.available) {
    console.error(`${probe.reason}\n${probe.hint}`);
    return 1;
  }
  const { device, driverVersion, cublasLt } = probe;
  const noPeer = peerUnavailable();
  if (noPeer) console.log(`No PyTorch rows: ${noPeer}.`);
  const manifest = JSON.parse(readFileSync(path.join(packageRoot(), "package.json"), "utf8"));
  const about = {
    ...{ version: manifest.version, commit: manifest.commit ?? (await commit()), node: process.versions.node },
    ...{ gpu: device, driverVersion, cublasLt: cublasLt?.version ?? null, peer: noPeer ?? "see the rows' torch" },
  };
  const results: Result[] = [];
  const leftOut: Task[] = [];
  for (const task of plan) {
    if ((task.engine !== "stlm" && noPeer) || (task.gemm === "cublaslt" && !cublasLt)) continue;
    if (left() < Math.max(LEAST_SECONDS, task.expectedSeconds)) leftOut.push(task);
    else results.push(await resultOf(task, Math.ceil(left() * 1000)));
    const table1 = projection(results);
    save(device.name, { about, projection: table1, results, leftOut });
  }
  console.log(`${resultTable(results)}\n\n${kernelTables(results)}\n`);
  for (const { engine, tokensPerSecond, table1GpuHours } of projection(results)) {
    const rate = Math.round(tokensPerSecond).toLocaleString("en-US");
    console.log(`Table 1 (25,000 iterations), ${engine}: ${table1GpuHours.toFixed(2)} GPU-hours at ${rate} tokens/s`);
  }
  for (const { engine, model, microBatch } of leftOut) {
    console.log(`Left out for time (STLM_BENCH_SECONDS): ${model}, ${engine}, ${microBatch} sequences`);
  }
  return results.some(({ engine, failure }) => engine === "stlm" && failure !== undefined) ? 1 : 0;
}

async function resultOf(task: Task, limitMs: number): Promise<Result> {
  const { engine, expectedSeconds: _, ...request } = task;
  const seconds = MEASURED_SECONDS[mode === "--trial" ? "trial" : "plan"];
  const label = `${task.model}, ${engine}${task.gemm ? ` ${task.gemm}` : ""}${task.profile ? ", kernels" : ""}`;
  console.error(`${label}, ${task.microBatch} x ${task.accumulate} ...`);
  try {
    if (engine !== "stlm") {
      return { ...task, peer: await measurePeer({ ...request, compile: engine !== "torch", steps: 10 }, limitMs) };
    }
    const args = [...process.execArgv, process.argv[1]!, "--measure"];
    const { stdout } = await run(
      process.execPath,
      [...args, JSON.stringify({ ...request, seconds } satisfies MeasureRequest)],
      { timeout: limitMs, killSignal: "SIGKILL", maxBuffer: 1 << 24 },
    );
    return { ...task, ours: JSON.parse(stdout) as Measurement };
  } catch (error) {
    const text = error instanceof Error && "stderr" in error ? `${error.stderr}`.trim() : "";
    const failure = text.split("\n").slice(-6).join("\n") || messageOf(error);
    console.error(failure);
    return { ...task, failure };
  }
}

function save(gpu: string, result: object): void {
  const folder = process.env["STLM_BENCH_OUT"] ?? path.join(packageRoot(), "bench", "results");
  mkdirSync(folder, { recursive: true });
  const name = gpu.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  writeFileSync(path.join(folder, `gpu-${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
}

async function commit(): Promise<string | null> {
  const answer = await run("git", ["rev-parse", "--short=12", "HEAD"], { cwd: packageRoot() }).catch(() => undefined);
  return answer?.stdout.trim() ?? null;
}
