// The processes that a process has started, for tests that look at them or kill all of them at once.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Process ids of the descendants of a process, deepest last. */
export function descendants(pid: number): number[] {
  const table = execFileSync("ps", ["-eo", "pid=,ppid="], { encoding: "utf8" });
  const pairs = table
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  const found = [pid];
  for (const parent of found) found.push(...pairs.filter(([, ppid]) => ppid === parent).map(([child]) => child!));
  return found.slice(1);
}

/** SIGKILL to a process and all that it started: the stages first, so that none learns of the executor's end before its own. */
export function killTree(pid: number): void {
  for (const victim of [...descendants(pid).reverse(), pid]) {
    try {
      process.kill(victim, "SIGKILL");
    } catch {
      // It ended by itself in the meantime.
    }
  }
}

/** Zombies, which only wait for their exit to be noticed, do not count. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
