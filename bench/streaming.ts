// A corpus larger than memory through the tokenize and shard stages: peak memory, rate, and that neither the number of
// threads nor a kill changes a byte. `npx tsx bench/streaming.ts [bytes] [gpt2|bpe] [threads,...]` writes a synthetic corpus
// of so many bytes (default 200 MB) below TMPDIR, with some 1.5 times as much for what the stages write.

import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { loadStageModule } from "../src/pipeline/modules.ts";
import { inputArtifact, type StageDefinition } from "../src/pipeline/stage.ts";
import { type Digest, digestBytes } from "../src/util/digest.ts";
import { formatBytes, formatCount } from "../src/util/format.ts";
import { packageRoot } from "../src/util/package-root.ts";
import { digestFolder } from "../tests/rigs/stage-rig.ts";
import { cpuSeconds, sendRow } from "./rows.ts";
import { writeSyntheticCorpus } from "./synthetic-corpus.ts";

const LIMIT_BYTES = 1e9;

interface StageRequest {
  readonly bundleFile: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly work: string;
  readonly threads: number;
}

type ChildReport =
  | { readonly type: "progress"; readonly share: number; readonly note: string | undefined }
  | { readonly type: "done"; readonly seconds: number; readonly cpuSeconds: number; readonly peakBytes: number };

if (process.argv[2] === "stage") await runStageHere(JSON.parse(process.argv[3]!));
else await main(Number(process.argv[2] ?? 2e8), process.argv[3] ?? "gpt2", process.argv[4] ?? "1,2,3");

async function main(bytes: number, tokenizer: string, threads: string): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "stlm-streaming-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  process.on("SIGINT", () => process.exit(1));
  const corpus = path.join(folder, "corpus");
  const written = writeSyntheticCorpus(corpus, bytes);
  console.log(`${formatCount(written.documents)} documents, ${formatBytes(written.bytes)}, ${tokenizer}`);
  const params = tokenizer === "bpe" ? { tokenizer, vocabSize: 16_384 } : { tokenizer };
  const digests = new Set<Digest>();
  const run = async (label: string, numThreads: number, killAt?: number) => {
    const place = (name: string) => path.join(folder, name);
    for (const name of ["tokenizer", "tokens", "shards", "work"]) {
      rmSync(place(name), { recursive: true, force: true });
      mkdirSync(place(name));
    }
    const tokenize = {
      ...{ params, work: place("work"), threads: numThreads, inputs: { corpus } },
      outputs: { tokenizer: place("tokenizer"), tokens: place("tokens") },
    };
    if (killAt !== undefined) await stage("tokenize", tokenize, killAt);
    const tokens = await stage("tokenize", tokenize);
    const shard = { ...{ params: {}, work: place("work"), threads: numThreads }, outputs: { shards: place("shards") } };
    const shards = await stage("shard", { ...shard, inputs: { tokens: place("tokens") } });
    digests.add(digestFolder(place("shards")));
    const peak = Math.max(tokens.peakBytes, shards.peakBytes);
    const rate = written.bytes / 1e6 / tokens.seconds;
    console.log(
      `${label}: tokenize ${tokens.seconds.toFixed(1)} s wall, ${tokens.cpuSeconds.toFixed(1)} CPU s, ${rate.toFixed(1)} MB/s; ` +
        `shard ${shards.seconds.toFixed(1)} s; peak ${formatBytes(tokens.peakBytes)} and ${formatBytes(shards.peakBytes)}`,
    );
    const name = `${formatBytes(bytes)}, ${tokenizer}, ${label}`;
    sendRow({ suite: "streaming", name: `tokenize ${name}`, value: rate, unit: "MB/s wall" });
    sendRow({ suite: "streaming", name: `peak memory, ${name}`, value: peak / 1e6, unit: "MB" });
    if (peak > LIMIT_BYTES) throw new Error(`The stages took ${formatBytes(peak)} of memory`);
  };
  const counts = threads.split(",").map(Number);
  for (const count of counts) await run(`${count} thread${count > 1 ? "s" : ""}`, count);
  await run("killed in the middle", counts.at(-1)!, 0.5);
  if (digests.size !== 1) throw new Error(`The shards differ: ${[...digests].join(", ")}`);
  console.log(`the same shards each time: ${[...digests][0]}`);
}

/** Runs a stage in a process of its own; with `killAt`, kills it once it has encoded that share of the corpus. */
async function stage(use: string, request: Omit<StageRequest, "bundleFile">, killAt?: number) {
  const { bundleFile } = await loadStageModule({
    root: packageRoot(),
    use,
    artifacts: path.join(request.work, "code"),
  });
  const environment = { ...process.env, STLM_PACKAGE_ROOT: packageRoot() };
  const child = fork(fileURLToPath(import.meta.url), ["stage", JSON.stringify({ ...request, bundleFile })], {
    execArgv: ["--import", "tsx"],
    env: environment,
    stdio: ["ignore", 2, 2, "ipc"],
  });
  const report = await listen(child, killAt);
  if (killAt === undefined && report === undefined) throw new Error(`The ${use} stage failed`);
  return report ?? { seconds: 0, cpuSeconds: 0, peakBytes: 0 };
}

function listen(child: ChildProcess, killAt: number | undefined) {
  return new Promise<Extract<ChildReport, { type: "done" }> | undefined>((resolve) => {
    let report: Extract<ChildReport, { type: "done" }> | undefined;
    child.on("message", (message: ChildReport) => {
      if (message.type === "done") report = message;
      else if (killAt !== undefined && message.note === "encoding" && message.share >= killAt) child.kill("SIGKILL");
    });
    child.on("close", () => resolve(report));
  });
}

/** The child's side: what src/pipeline/child.ts does, without the pipeline. */
async function runStageHere({ bundleFile, params, inputs, outputs, work, threads }: StageRequest): Promise<void> {
  const module: { default: StageDefinition } = await import(pathToFileURL(bundleFile).href);
  const tell = (report: ChildReport) => process.send!(report);
  const about = (folder: string) => inputArtifact(folder, { digest: digestBytes(folder), stage: "bench" });
  const start = performance.now();
  const cpu = cpuSeconds();
  let told = 0;
  await module.default.run({
    params: module.default.params.parse(params),
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, folder]) => [name, about(folder)])),
    outputs: Object.fromEntries(
      Object.entries(outputs).map(([name, folder]) => [
        name,
        { path: (...parts: string[]) => path.join(folder, ...parts) },
      ]),
    ),
    ...{ seed: 1, device: "reference", threads, work, dataDir: undefined, signal: new AbortController().signal },
    log: {
      info: () => {},
      warn: (message) => console.error(message),
      progress: (done, total, _unit, note) => {
        const share = Math.floor((100 * done) / total) / 100;
        if (share === told) return;
        told = share;
        tell({ type: "progress", share, note });
      },
      measure: () => {},
    },
  });
  const peakBytes = 1024 * Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]);
  tell({ type: "done", seconds: (performance.now() - start) / 1e3, cpuSeconds: cpuSeconds() - cpu, peakBytes });
  process.disconnect();
}
