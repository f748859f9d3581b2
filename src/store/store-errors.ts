// What can go wrong with a store, in the user's words: no permission, a full disk, a file in the place of a folder,
// an object that is missing or damaged.

import { type Digest, shortDigest } from "../util/digest.ts";
import { systemErrorCode, UserError } from "../util/errors.ts";

/** An object that cannot be served. Its stage has to run again. */
export class ObjectError extends UserError {
  constructor(
    readonly digest: Digest,
    readonly state: "missing" | "damaged",
    detail = "",
  ) {
    super(
      state === "missing"
        ? `Object ${shortDigest(digest)} is not in the store.${detail}`
        : `Object ${shortDigest(digest)} is damaged: its bytes do not match its name.${detail}`,
      {
        code: state === "missing" ? "OBJECT_MISSING" : "OBJECT_DAMAGED",
        hint: "Run `stlm-pipeline repro`: the stage that made it runs again.",
        exitCode: 3,
      },
    );
    this.name = "ObjectError";
  }
}

const NOT_WRITABLE = new Set(["EACCES", "EPERM", "EROFS"]);
const DISK_FULL = new Set(["ENOSPC", "EDQUOT"]);
const NOT_A_FOLDER = new Set(["ENOTDIR", "EEXIST"]);

/** Whether a system error means that this place cannot be written to, whatever is tried. */
export function isReadOnlyError(error: unknown): boolean {
  return NOT_WRITABLE.has(systemErrorCode(error) ?? "");
}

/** Runs `action`; what the system refuses becomes a UserError about `place`. Anything else passes through. */
export function guardStore<T>(place: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw asStoreError(error, place);
  }
}

/** The UserError for a system error met while writing at `place`; other errors come back as they are. */
export function asStoreError(error: unknown, place: string): unknown {
  if (error instanceof UserError) return error;
  const code = systemErrorCode(error) ?? "";
  const options = { where: { file: place }, cause: error, exitCode: 1 as const };
  if (DISK_FULL.has(code)) {
    return new UserError(`The disk that holds the artifacts is full (${code}).`, {
      ...options,
      code: "DISK_FULL",
      hint: "Free some space and run the same command again: finished stages and checkpoints are kept.",
    });
  }
  if (NOT_WRITABLE.has(code) || isRefusedFolder(error)) {
    return new UserError(`The artifacts folder cannot be written to (${code}).`, {
      ...options,
      code: "STORE_NOT_WRITABLE",
      hint: "Give this user write permission, or choose a lab on a disk that is mounted for writing.",
    });
  }
  if (NOT_A_FOLDER.has(code)) {
    return new UserError(`A file stands where the store needs a folder (${code}).`, {
      ...options,
      code: "STORE_NOT_A_FOLDER",
      hint: "Move that file away and run the same command again.",
    });
  }
  return error;
}

/** A recursive mkdir on a read-only file system ends with ENOENT in Node, which cannot happen otherwise. */
function isRefusedFolder(error: unknown): boolean {
  return (
    systemErrorCode(error) === "ENOENT" && error instanceof Error && "syscall" in error && error.syscall === "mkdir"
  );
}
