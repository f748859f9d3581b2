// The process in which one stage runs. Its argument is the file of its request. Its standard input carries nothing:
// when it closes, the executor is gone, and so is this process with every process that it started.

import { mkdirSync, readFileSync, writeSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { systemErrorCode, UserError } from "../util/errors.ts";
import { type ChildInput, type ChildLine, type ChildRequest, MESSAGE_DESCRIPTOR } from "./child-request.ts";
import { runCommand } from "./command.ts";
import { inputArtifact, type StageDefinition, type StageLog } from "./stage.ts";
import { stageErrorOf } from "./system-error.ts";

const PROGRESS_EVERY_MS = 100;
/** Pause before a full pipe is tried again. */
const PIPE_PAUSE_MS = 2;
const NEVER = new Int32Array(new SharedArrayBuffer(4));

/**
 * A thread of its own, for a stage may compute for minutes without coming back to its event loop. Given as text,
 * because this file itself may run as a bundle with no other file beside it.
 */
const WATCH_PARENT = `
  const { Socket } = require("node:net");
  const end = () => {
    try { process.kill(-process.pid, "SIGKILL"); } catch {}
    process.kill(process.pid, "SIGKILL");
  };
  new Socket({ fd: 0, readable: true, writable: false }).on("end", end).on("error", end).resume();
`;

async function main(requestFile: string): Promise<void> {
  new Worker(WATCH_PARENT, { eval: true }).unref();
  process.umask(0o022);
  const request = JSON.parse(readFileSync(requestFile, "utf8")) as ChildRequest;
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => stop.abort(new UserError(`Stopped by ${signal}.`, { code: "STOPPED", exitCode: 1 })));
  }
  const measures: Record<string, number | string> = {};
  const end = (thrown?: unknown): never => {
    const error = thrown === undefined ? undefined : stageErrorOf(thrown, request.artifacts, "STAGE_CRASHED");
    tell({ type: "answer", answer: error ? { measures, error } : { measures } });
    if (error) print(error.expected ? `${error.message} (${error.code})` : stackOf(thrown));
    // A stage's forgotten timers and sockets must not keep the run waiting.
    process.exit(error ? 1 : 0);
  };
  // What fails beside run(), the write of a console.log on a full disk for one, has a reason to tell too.
  process.on("uncaughtException", end);
  await run(request, stageLog(measures), stop.signal).then(
    () => end(),
    (error: unknown) => end(error ?? new Error("The stage threw nothing at all.")),
  );
}

function stackOf(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}

function print(text: string): void {
  try {
    writeSync(2, `${text}\n`);
  } catch {
    // The log is on the full disk that the answer tells of.
  }
}

async function run(request: ChildRequest, log: StageLog, signal: AbortSignal): Promise<void> {
  if (request.work.kind === "command") {
    return runCommand(request.work.command, { ...request, folder: request.commandFolder!, signal });
  }
  const module: { default: StageDefinition } = await import(
    /* @vite-ignore */ pathToFileURL(request.work.bundleFile).href
  );
  const definition = module.default;
  const inputs = Object.entries(request.inputs).map(([name, input]) => [
    name,
    Array.isArray(input) ? input.map(artifactOf) : artifactOf(input as ChildInput),
  ]);
  const outputs = Object.entries(request.outputs).map(([name, folder]) => [name, { path: pathIn(folder) }]);
  await definition.run({
    params: request.params, // as the schema read them when the pipeline was loaded
    inputs: Object.fromEntries(inputs),
    outputs: Object.fromEntries(outputs),
    seed: request.seed,
    device: request.device,
    threads: request.threads,
    work: request.workFolder,
    dataDir: request.dataDir,
    root: request.root,
    signal,
    log,
  });
}

function artifactOf(input: ChildInput) {
  return inputArtifact(input.folder, input);
}

/** A path inside an output; its parent folders are made. */
function pathIn(folder: string): (...parts: string[]) => string {
  return (...parts) => {
    const file = path.join(folder, ...parts);
    mkdirSync(parts.length === 0 ? folder : path.dirname(file), { recursive: true });
    return file;
  };
}

function stageLog(measures: Record<string, number | string>): StageLog {
  let shownAt = Number.NEGATIVE_INFINITY;
  const line = (level: "info" | "warn", message: string) => {
    writeSync(1, level === "warn" ? `warning: ${message}\n` : `${message}\n`);
    tell({ type: "log", level, message });
  };
  return {
    info: (message) => line("info", message),
    warn: (message) => line("warn", message),
    progress: (done, total, unit, note) => {
      const now = performance.now();
      if (done < total && now - shownAt < PROGRESS_EVERY_MS) return;
      shownAt = now;
      tell({ type: "progress", done, total, unit, ...(note === undefined ? {} : { note }) });
    },
    measure: (name, value) => {
      measures[name] = value;
      tell({ type: "measure", name, value });
    },
  };
}

/** Waits where the pipe is full, because the executor is busy. One that is gone ends this process by standard input. */
function tell(line: ChildLine): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(MESSAGE_DESCRIPTOR, bytes, written);
    } catch (error) {
      if (systemErrorCode(error) !== "EAGAIN") return;
      Atomics.wait(NEVER, 0, 0, PIPE_PAUSE_MS);
    }
  }
}

await main(process.argv[2]!);
