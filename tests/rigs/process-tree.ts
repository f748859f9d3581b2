// The processes that a process has started, for tests that kill all of them at once.

import { execFileSync } from "node:child_process";

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
