// The process in which one stage runs. Its argument is the file of its request. Its standard input carries nothing:
// when it closes, the executor is gone, and so is this process with every process that it started.

import { mkdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { asStoreError } from "../store/store-errors.ts";
import { messageOf, UserError } from "../util/errors.ts";
import {
  type ChildAnswer,
  type ChildInput,
  type ChildMessage,
  type ChildRequest,
  MESSAGE_DESCRIPTOR,
} from "./child-request.ts";
import { runCommand } from "./command.ts";
import type { StageError } from "./events.ts";
import { inputArtifact, type StageDefinition, type StageLog } from "./stage.ts";

const PROGRESS_EVERY_MS = 100;

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
  const log = stageLog(measures);
  const answer: ChildAnswer = await run(request, log, stop.signal).then(
    () => ({ measures }),
    (error: unknown) => ({ measures, error: describeError(error, request) }),
  );
  writeFileSync(request.answerFile, JSON.stringify(answer));
  // A stage's forgotten timers and sockets must not keep the run waiting.
  process.exit(answer.error ? 1 : 0);
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
    params: definition.params.parse(request.params),
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

function tell(message: ChildMessage): void {
  try {
    writeSync(MESSAGE_DESCRIPTOR, `${JSON.stringify(message)}\n`);
  } catch {
    // The pipe is full or closed. Messages are for eyes only; the answer goes into a file.
  }
}

/** Our class may be another copy of itself in the stage's bundle, so a UserError is known by its fields. */
function describeError(thrown: unknown, request: ChildRequest): StageError {
  const error = asStoreError(thrown, path.dirname(request.answerFile));
  if (error instanceof Error && "hint" in error && "where" in error && "code" in error) {
    const { message, code, where, hint } = error as UserError;
    process.stderr.write(`${message} (${code})\n`);
    return { message, code, where, hint, expected: true };
  }
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return { message: messageOf(error), code: "STAGE_CRASHED", expected: false };
}

await main(process.argv[2]!);
