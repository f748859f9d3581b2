// The GPU benchmark: `make bench-gpu`, or `node bench.mjs` in the bundle for GPU machines. Every measurement in a process of its own;
// the result is written anew after each, to bench/results/gpu-<name>.json or to STLM_BENCH_OUT. docs/gpu.md says how to read it.

import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { probeCuda } from "../../src/backend/cuda/probe.ts";
import { isUserError, messageOf } from "../../src/util/errors.ts";
import { packageRoot } from "../../src/util/package-root.ts";
import { type Measurement, type MeasureRequest, measure } from "./measure.ts";
import { measurePeer, peerUnavailable } from "./peer.ts";
import { PLAN, type Task, TRIAL } from "./plan.ts";
import { secondsOf } from "./seconds.ts";
import { failures, kernelTables, labelOf, projection, type Result, rateOf, resultTable, speedups } from "./table.ts";

const run = promisify(execFile);

/** With the last task's own limit the whole ends within 8 minutes. */
const SECONDS = secondsOf("STLM_BENCH_SECONDS", 450);
/** Of measured steps, each task of ours; a trial on the simulator has no figures to be steady. */
const MEASURED_SECONDS = { plan: 3, trial: 0.1 };
const LEAST_SECONDS = 8;
/**
 * A measurement that takes longer than it should by this factor, and this long at least, is ended: where the GPU hangs, the others are
 * to have their time.
 */
const PATIENCE = { factor: 4, seconds: 60 };

/** Of what a failed measurement printed: a Python traceback ends with its message. */
const FAILURE_LINES = 6;

const [mode, request] = process.argv.slice(2);
if (mode === "--measure") process.exitCode = await measureHere(JSON.parse(request!) as MeasureRequest);
else process.exitCode = await benchmark(mode === "--trial" ? TRIAL : PLAN);

/** The result on stdout. What went wrong ends stderr, as an error's stack would push its message out of the row. */
async function measureHere(measured: MeasureRequest): Promise<number> {
  try {
    console.log(JSON.stringify(await measure(measured)));
    return 0;
  } catch (error) {
    if (error instanceof Error && !isUserError(error)) console.error(error.stack);
    console.error(isUserError(error) && error.hint ? `${messageOf(error)}\n${error.hint}` : messageOf(error));
    return 1;
  }
}

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
    else {
      const result = await resultOf(task, Math.min(left(), patience(task)) * 1000);
      results.push(result);
      console.error(`  ${result.failure ?? `${Math.round(rateOf(result) ?? 0).toLocaleString("en-US")} tokens/s`}`);
    }
    save(device.name, { about, speedups: speedups(results), projection: projection(results), results, leftOut });
  }
  console.log(`${resultTable(results)}\n\n${kernelTables(results)}\n`);
  if (failures(results) !== "") console.log(`${failures(results)}\n`);
  for (const { model, over, times } of speedups(results)) console.log(`${model}: ${times.toFixed(2)} x ${over}`);
  for (const { engine, tokensPerSecond, table1GpuHours } of projection(results)) {
    const rate = Math.round(tokensPerSecond).toLocaleString("en-US");
    console.log(`Table 1 (25,000 iterations), ${engine}: ${table1GpuHours.toFixed(2)} GPU-hours at ${rate} tokens/s`);
  }
  for (const task of leftOut) console.log(`Left out for time (STLM_BENCH_SECONDS): ${labelOf(task)}`);
  return results.some(({ engine, failure }) => engine === "stlm" && failure !== undefined) ? 1 : 0;
}

async function resultOf(task: Task, limitMs: number): Promise<Result> {
  const { engine, expectedSeconds: _, ...request } = task;
  const seconds = MEASURED_SECONDS[mode === "--trial" ? "trial" : "plan"];
  console.error(`${labelOf(task)} ...`);
  try {
    if (engine !== "stlm") {
      return { ...task, peer: await measurePeer({ ...request, compile: engine !== "torch", steps: 10 }, limitMs) };
    }
    const args = [...process.execArgv, process.argv[1]!, "--measure"];
    const { stdout } = await run(
      process.execPath,
      [...args, JSON.stringify({ ...request, seconds } satisfies MeasureRequest)],
      { timeout: Math.ceil(limitMs), killSignal: "SIGKILL", maxBuffer: 1 << 24 },
    );
    return { ...task, ours: JSON.parse(stdout) as Measurement };
  } catch (error) {
    return { ...task, failure: reasonOf(error, limitMs) };
  }
}

function patience({ expectedSeconds }: Task): number {
  return Math.max(PATIENCE.seconds, PATIENCE.factor * expectedSeconds);
}

/** Why a process that measured gave no result. */
function reasonOf(error: unknown, limitMs: number): string {
  const { killed, stderr } = error as { killed?: boolean; stderr?: string };
  const printed = (stderr ?? "").trim().split("\n").slice(-FAILURE_LINES).join("\n");
  const late = killed === true ? `ended after ${Math.round(limitMs / 1000)} s, it was not done` : "";
  return [late, printed].filter((part) => part !== "").join("\n") || messageOf(error);
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
