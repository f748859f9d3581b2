// `runs`: what ran, when, how long, and what came out: the hash-chained log, newest last.

import { type JsonObject, RunLog } from "../../store/run-log.ts";
import { formatDuration } from "../../util/format.ts";
import { openPastStore } from "../lab.ts";
import { columns, EXIT, print, printJson } from "../output.ts";

const OUTCOMES = ["ran", "cached", "fresh", "failed", "skipped"] as const;

export async function runs(options: { directory: string; last: number; json: boolean }): Promise<number> {
  const log = new RunLog(openPastStore(options.directory));
  const broken = log.verify();
  const entries = log.readAll().slice(-options.last || Number.POSITIVE_INFINITY);
  if (options.json) printJson({ chain: broken ?? "whole", entries });
  else {
    if (entries.length === 0) print("No runs yet. `stlm-pipeline repro` makes the first.");
    else print(columns(entries.map(({ sequence, at, record }) => [`#${sequence}`, at, ...describe(record)])));
    if (broken) print(`The log is broken at line ${broken.line}: ${broken.reason}.`);
  }
  return broken ? EXIT.difference : EXIT.done;
}

function describe(record: JsonObject): string[] {
  const text = (name: string) => (record[name] === undefined ? "" : String(record[name]));
  const duration = typeof record["durationMs"] === "number" ? formatDuration(record["durationMs"]) : "";
  const measures = Object.entries((record["measures"] ?? {}) as Record<string, number | string>);
  const shown = measures.map(([name, value]) => `${name} ${typeof value === "number" ? compact(value) : value}`);
  if (record["error"] !== undefined) shown.push(`${text("error")} (${text("code")})`);
  if (record["kind"] === "run-end")
    shown.push(...OUTCOMES.filter((name) => record[name]).map((name) => `${record[name]} ${name}`));
  return [text("kind"), text("stage") || text("profile"), text("state"), duration, shown.join(", ")];
}

function compact(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}
