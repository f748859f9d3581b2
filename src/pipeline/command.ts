// A stage in any other language: a shell command in a clean folder.

import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { messageOf, systemErrorCode, UserError } from "../util/errors.ts";
import type { ChildInput } from "./child-request.ts";
import type { CommandSpec } from "./node.ts";

export interface CommandPlace {
  /** Where the command runs: holds copies of its deps. */
  readonly folder: string;
  readonly inputs: Readonly<Record<string, ChildInput | readonly ChildInput[]>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly threads: number;
  readonly signal: AbortSignal;
}

/** A link that leads nowhere, or to itself; a pipe; a socket; a device. */
const UNFIT = new Set(["ENOENT", "ELOOP", "ERR_FS_CP_FIFO_PIPE", "ERR_FS_CP_SOCKET", "ERR_FS_CP_UNKNOWN"]);

/** The one output of every command. */
export const COMMAND_OUTPUT = "files";

/**
 * Runs the command and takes what it declared to write. Throws UserError COMMAND_FAILED for another exit code than 0,
 * MISSING_OUT where a declared file is absent, and BAD_OUT where it cannot be copied for what it is.
 */
export async function runCommand(command: CommandSpec, place: CommandPlace): Promise<void> {
  await execute(command, place);
  for (const out of command.outs) {
    const made = path.join(place.folder, out);
    if (!existsSync(made)) {
      throw new UserError(`The command ended well but did not write ${out}.`, {
        code: "MISSING_OUT",
        hint: "Outs are relative to the folder in which the command runs. Correct the command, or the stage's outs.",
        exitCode: 1,
      });
    }
    const taken = path.join(place.outputs[COMMAND_OUTPUT]!, out);
    mkdirSync(path.dirname(taken), { recursive: true });
    take(made, taken, out);
  }
}

/** Links are followed: what they lead to may be outside of the folder, which is gone after the run. */
function take(made: string, taken: string, out: string): void {
  try {
    cpSync(made, taken, { recursive: true, dereference: true });
  } catch (cause) {
    if (!UNFIT.has(systemErrorCode(cause) ?? "")) throw cause;
    throw new UserError(`The command wrote ${out} with something in it that is no file and no folder.`, {
      code: "BAD_OUT",
      hint: `Links must lead to files or folders, and pipes and sockets cannot be kept. ${messageOf(cause)}`,
      exitCode: 1,
      cause,
    });
  }
}

/** `curves` -> STLM_INPUT_CURVES: the input's folder, or a folder with one folder per instance for `stage[*]`. */
export function inputVariable(name: string): string {
  return `STLM_INPUT_${name.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;
}

function execute(command: CommandSpec, place: CommandPlace): Promise<void> {
  const inputs = Object.entries(place.inputs).map(([name, input]) => [
    inputVariable(name),
    Array.isArray(input) ? (input[0] ? path.dirname(input[0].folder) : "") : (input as ChildInput).folder,
  ]);
  return new Promise((resolve, reject) => {
    const shell = spawn("sh", ["-c", command.command], {
      cwd: place.folder,
      env: { ...process.env, STLM_THREADS: String(place.threads), ...Object.fromEntries(inputs), ...command.env },
      stdio: ["ignore", "inherit", "inherit"],
    });
    place.signal.addEventListener("abort", () => shell.kill("SIGTERM"), { once: true });
    shell.on("error", reject);
    shell.on("close", (code, signal) => {
      if (code === 0) return resolve();
      const end = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
      reject(new UserError(`The command ${end}: ${command.command}`, { code: "COMMAND_FAILED", exitCode: 1 }));
    });
  });
}
