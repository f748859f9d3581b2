// Every benchmark in turn, one table, one file under bench/results/: `make bench`. bench/README.md says how to read it.

import { execFileSync, fork } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { markdownTable } from "markdown-table";
import { describeCpu } from "../src/backend/index.ts";
import { prettyCanonicalJson } from "../src/util/canonical-json.ts";
import { packageRoot, packageVersion } from "../src/util/package-root.ts";
import { median, type Row } from "./rows.ts";
import { STEP_CASES } from "./step-cases.ts";
import { findTorch } from "./torch.ts";

const REPEATS = 5;
const LIMIT_MS = 600_000;
const folder = path.join(packageRoot(), "bench");

/** Runs a benchmark in a process of its own, what it prints goes to standard error, and returns its rows. */
function benchmark(file: string, ...args: string[]): Promise<Row[]> {
  return new Promise((resolve, reject) => {
    const rows: Row[] = [];
    const child = fork(path.join(folder, file), args, {
      execArgv: ["--import", "tsx"],
      stdio: ["ignore", 2, 2, "ipc"],
      timeout: LIMIT_MS,
    });
    child.on("message", (row) => rows.push(row as Row));
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve(rows) : reject(new Error(`bench/${file} ended with ${code}`))));
  });
}

/** One row per name and unit: the median of its repeats. */
function medians(rows: readonly Row[]): Row[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = `${row.suite} ${row.name} ${row.unit}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((group) => ({ ...group[0]!, value: median(group.map(({ value }) => value)) }));
}

/** Ours and the peer's by turns, so that a busy minute of the machine falls on both. */
async function trainSteps(peer: Awaited<ReturnType<typeof findTorch>>): Promise<Row[]> {
  const rows: Row[] = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    for (const step of STEP_CASES) {
      rows.push(...(await benchmark("train-step.ts", String(step.threads), step.preset, step.precision)));
      if (typeof peer !== "string") rows.push(...(await peer.step(step)));
    }
  }
  return medians(rows);
}

function commit(): string {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: folder, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--", "../src") !== "";
  return git("rev-parse", "--short=12", "HEAD") + (changed ? " with changes in src/" : "");
}

const peer = await findTorch();
const rows = [
  ...(await benchmark("peak.ts")),
  ...(await benchmark("kernels.ts", "1", "nano")),
  ...(await benchmark("kernels.ts", "1", "nano", "bf16")),
  ...(await benchmark("tokenizers.ts")),
  ...(await benchmark("exactness.ts")),
  ...(await benchmark("bpe-training.ts")),
  ...(await benchmark("shards.ts")),
  ...(await benchmark("streaming.ts")),
  ...(await benchmark("no-op.ts")),
  ...(await trainSteps(peer)),
];
const processor = os.cpus()[0]?.model.trim() ?? "unknown";
const about = {
  version: packageVersion(),
  commit: commit(),
  node: process.versions.node,
  machine: { processor, cores: os.availableParallelism(), memoryBytes: os.totalmem(), loadAverage: os.loadavg() },
  cpuDevice: await describeCpu().then(({ isa, compiler }) => ({ isa, compiler })),
  peer: typeof peer === "string" ? peer : peer.description,
};
console.log(
  markdownTable(
    [["suite", "what", "value", "unit"], ...rows.map((row) => [row.suite, row.name, format(row), row.unit])],
    {
      align: ["l", "l", "r", "l"],
    },
  ),
);
if (typeof peer === "string") console.log(peer);

const date = new Date().toISOString().slice(0, 10);
const machine = `${processor.toLowerCase().replace(/[^a-z0-9]+/g, "-")}-${os.availableParallelism()}-cores`;
const file = path.join(folder, "results", `${date}-${machine}.json`);
mkdirSync(path.dirname(file), { recursive: true });
writeFileSync(file, prettyCanonicalJson({ ...about, rows }));
console.log(path.relative(packageRoot(), file));

function format({ value }: Row): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
