// Which process holds a lease or a temporary file, and whether it still lives. A pid alone is not enough: pids come
// again, and after a reboot or in another container the same number means another process.

import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { systemErrorCode } from "../util/errors.ts";

/** One process on one boot of one machine. On systems without /proc, `started`, `boot` and `pidNamespace` are "0". */
export interface Owner {
  readonly pid: number;
  /** Start time in clock ticks since boot: /proc/<pid>/stat, field 22. */
  readonly started: string;
  readonly host: string;
  readonly boot: string;
  /** Containers share the kernel's boot id but count their pids apart. */
  readonly pidNamespace: string;
}

/** `unknown`: another machine or container, whose processes cannot be seen from here. */
export type OwnerState = "alive" | "dead" | "unknown";

let cachedOwner: Owner | undefined;

export function thisOwner(): Owner {
  cachedOwner ??= {
    pid: process.pid,
    started: processState(process.pid)?.started ?? "0",
    host: hostname(),
    boot: readOr("0", () => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim().replaceAll("-", "")),
    pidNamespace: readOr("0", () => readlinkSync("/proc/self/ns/pid").replace(/\D/g, "")),
  };
  return cachedOwner;
}

export function ownerState(owner: Owner): OwnerState {
  const here = thisOwner();
  if (owner.host !== here.host) return "unknown";
  if (owner.boot !== here.boot) return "dead";
  if (owner.pidNamespace !== here.pidNamespace) return "unknown";
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    // EPERM means that it exists and belongs to someone else.
    if (systemErrorCode(error) === "ESRCH") return "dead";
  }
  const state = processState(owner.pid);
  if (state === undefined) return "alive";
  // A killed process whose parent has not collected it yet is a zombie: its pid exists, but it runs no more.
  return state.isZombie || state.started !== owner.started ? "dead" : "alive";
}

function processState(pid: number): { started: string; isZombie: boolean } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses and may itself hold blanks and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { started: fields[19] ?? "0", isZombie: fields[0] === "Z" || fields[0] === "X" };
}

function readOr(otherwise: string, read: () => string): string {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

const TAG_PATTERN = /^(.*)~(\d+)~(\d+)~([0-9a-f]+)~(\d+)~([^~]*)~[0-9a-f]{12}$/;
const LABEL_LENGTH = 60;

/** A file name that says who made it: `label~pid~started~boot~namespace~host~random`. */
export function ownedName(label: string): string {
  const { pid, started, boot, pidNamespace, host } = thisOwner();
  const safe = (text: string) => text.replace(/[^A-Za-z0-9.=,_+-]/g, "_");
  return [
    safe(label).slice(0, LABEL_LENGTH),
    pid,
    started,
    boot,
    pidNamespace,
    hostTag(host),
    randomBytes(6).toString("hex"),
  ].join("~");
}

/** Whether the maker of a file named by ownedName() lives; undefined for any other name. */
export function nameOwnerState(name: string): OwnerState | undefined {
  const match = TAG_PATTERN.exec(name);
  if (match === null) return undefined;
  const here = thisOwner();
  // Only a digest of the host's name is in a file name, so it is compared in that form.
  const host = match[6] === hostTag(here.host) ? here.host : `not ${here.host}`;
  return ownerState({ pid: Number(match[2]), started: match[3]!, boot: match[4]!, pidNamespace: match[5]!, host });
}

function hostTag(host: string): string {
  return createHash("sha256").update(host).digest("hex").slice(0, 8);
}
