// What the system refuses while a stage runs (a full disk, no permission), in the user's words. The executor and the
// stage's process both ask here, so that the same refusal reads the same wherever it is met.

import { statfsSync } from "node:fs";
import path from "node:path";
import { asStoreError } from "../store/store-errors.ts";
import { isUserError, messageOf, systemErrorCode, UserError } from "../util/errors.ts";
import type { StageError } from "./events.ts";

/** A library may wrap the system's error, and another wrap that. */
const MAX_CAUSES = 8;
/** Native libraries (DuckDB, say) pass the system's text on and drop its code. */
const DISK_FULL_TEXT = /no space left on device|disk quota exceeded/i;
const DENIED = new Set(["EACCES", "EPERM", "EROFS"]);
const FULL = new Set(["ENOSPC", "EDQUOT"]);
/** Less than this and almost any write fails. */
const FULL_BELOW_BYTES = 64 * 1024;

/**
 * The UserError for what the system refused: DISK_FULL, STORE_NOT_WRITABLE, or NO_PERMISSION for a file outside of
 * `artifacts`. Anything else comes back as it is.
 */
export function asSystemError(thrown: unknown, artifacts: string): unknown {
  const error = refusal(thrown);
  const code = systemErrorCode(error) ?? "";
  // A copy has two files, and what is refused is the writing of the second.
  const isRefusal = FULL.has(code) || DENIED.has(code);
  const file = (isRefusal ? memberOf(error, "dest") : undefined) ?? memberOf(error, "path");
  const options = { where: { file: file ?? artifacts }, cause: thrown, exitCode: 1 as const };
  if (file !== undefined && isOutside(file, artifacts)) {
    if (FULL.has(code)) {
      const hint = "Free some space and run the same command again: finished stages and checkpoints are kept.";
      return new UserError(`The disk that holds ${file} is full (${code}).`, { ...options, code: "DISK_FULL", hint });
    }
    if (!DENIED.has(code)) return thrown;
    const hint = "Give this user the permission and run the same command again.";
    return new UserError(`This user may not use ${file} (${code}).`, { ...options, code: "NO_PERMISSION", hint });
  }
  // Without a file, a denial may come from a socket.
  if (FULL.has(code)) return asStoreError(error, artifacts);
  if (file !== undefined && (DENIED.has(code) || code === "ENOENT")) {
    const told = asStoreError(error, file);
    return told === error ? thrown : told;
  }
  return DISK_FULL_TEXT.test(messageOf(thrown)) ? diskFull(artifacts) : thrown;
}

/** What a failure says to the executor; `bug` is the code of what is no mistake of the user. */
export function stageErrorOf(thrown: unknown, artifacts: string, bug: "BUG" | "STAGE_CRASHED"): StageError {
  const error = asSystemError(thrown, artifacts);
  if (isUserError(error)) {
    const { message, code, where, hint } = error;
    return { message, code, where, hint, expected: true };
  }
  return { message: messageOf(error), code: bug, expected: false };
}

/** DISK_FULL where the disk has no room left: the likely reason of an end that nobody explained. */
export function diskFullError(artifacts: string): StageError | undefined {
  const { bavail, bsize } = statfsSync(artifacts);
  if (bavail * bsize >= FULL_BELOW_BYTES) return undefined;
  return stageErrorOf(diskFull(artifacts), artifacts, "BUG");
}

function diskFull(artifacts: string): unknown {
  return asStoreError(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }), artifacts);
}

/** The system's error among the causes of what was thrown, or the thrown itself. */
function refusal(thrown: unknown): unknown {
  let error = thrown;
  for (let depth = 0; depth < MAX_CAUSES && error instanceof Error; depth++) {
    if ("errno" in error && "syscall" in error) return error;
    error = error.cause;
  }
  return thrown;
}

function memberOf(error: unknown, name: "path" | "dest"): string | undefined {
  const value =
    error instanceof Error ? (error as Error & { readonly path?: unknown; readonly dest?: unknown })[name] : undefined;
  return typeof value === "string" ? value : undefined;
}

function isOutside(file: string, folder: string): boolean {
  const relative = path.relative(folder, path.resolve(file));
  return relative === ".." || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative);
}
