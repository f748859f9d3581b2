// One stage's process: how it is started, heard and stopped.

import { closeSync, openSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../util/package-root.ts";
import type { ChildAnswer, ChildLine, ChildMessage, ChildRequest } from "./child-request.ts";
import { MESSAGE_DESCRIPTOR } from "./child-request.ts";
import { buildCode } from "./fingerprint.ts";

/** Time between the request to stop and the kill: enough to write a checkpoint. */
export const STOP_GRACE_MS = 10_000;

export interface ProcessOptions {
  /** The compiled child, from childEntry(). */
  readonly entry: string;
  readonly request: ChildRequest;
  readonly requestFile: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Standard output and error are appended. */
  readonly logFile: string;
  readonly onMessage: (message: ChildMessage) => void;
  /** Aborted: the process group gets SIGTERM, and SIGKILL after the grace. */
  readonly signal: AbortSignal;
  readonly graceMs?: number;
}

export interface ProcessEnd {
  /** What the child answered; undefined where it died before it could. */
  readonly answer: ChildAnswer | undefined;
  /** `exit code 9`, `signal SIGKILL`. */
  readonly how: string;
}

/** child.js beside this file; where this file itself runs as TypeScript, a bundle of child.ts. */
export async function childEntry(artifacts: string): Promise<string> {
  const here = fileURLToPath(import.meta.url);
  const sibling = path.join(path.dirname(here), `child${path.extname(here)}`);
  if (!sibling.endsWith(".ts")) return sibling;
  return (await buildCode(sibling, packageRoot(), artifacts)).bundleFile;
}

/** Runs the child to its end. Never throws for what the child does; throws where no process can be started. */
export async function runProcess(options: ProcessOptions): Promise<ProcessEnd> {
  const { execa } = await import("execa");
  writeFileSync(options.requestFile, JSON.stringify(options.request));
  // The child writes its log itself, so nothing is lost when we die. (execa takes any descriptor; its types name nine.)
  const log = openSync(options.logFile, "a") as 3;
  try {
    const child = execa(process.execPath, [options.entry, options.requestFile], {
      stdio: ["pipe", log, log, "pipe"],
      env: { ...options.environment },
      extendEnv: false,
      // A process group of its own: Ctrl-C in the terminal reaches us alone, and we stop the group.
      detached: true,
      cleanup: false,
      buffer: false,
      reject: false,
    });
    const heard = listen(child.stdio[MESSAGE_DESCRIPTOR] as Readable, options.onMessage);
    const stop = stopper(child.pid, options.graceMs ?? STOP_GRACE_MS);
    if (options.signal.aborted) stop.ask();
    options.signal.addEventListener("abort", stop.ask, { once: true });
    const result = await child;
    options.signal.removeEventListener("abort", stop.ask);
    stop.done();
    const answer = await heard;
    if (child.pid === undefined) throw result;
    const how = result.signal ? `signal ${result.signal}` : `exit code ${result.exitCode}`;
    return { answer, how };
  } finally {
    closeSync(log);
  }
}

/** Passes messages on until the process closes the pipe, and resolves with its answer. */
function listen(lines: Readable, onMessage: (message: ChildMessage) => void): Promise<ChildAnswer | undefined> {
  return new Promise((resolve) => {
    let answer: ChildAnswer | undefined;
    const reader = createInterface({ input: lines });
    reader.on("line", (text) => {
      const line = parseLine(text);
      if (line?.type === "answer") answer = line.answer;
      else if (line) onMessage(line);
    });
    reader.on("close", () => resolve(answer));
    lines.on("error", () => reader.close());
  });
}

function parseLine(text: string): ChildLine | undefined {
  try {
    return JSON.parse(text) as ChildLine;
  } catch {
    return undefined; // the last line of a process killed while it wrote
  }
}

function stopper(pid: number | undefined, graceMs: number) {
  let timer: NodeJS.Timeout | undefined;
  const signal = (name: NodeJS.Signals) => {
    try {
      if (pid !== undefined) process.kill(-pid, name);
    } catch {
      // The group has ended by itself.
    }
  };
  return {
    ask: () => {
      signal("SIGTERM");
      timer = setTimeout(() => signal("SIGKILL"), graceMs);
    },
    /** What the stage started and left behind ends with it. */
    done: () => {
      clearTimeout(timer);
      signal("SIGKILL");
    },
  };
}
