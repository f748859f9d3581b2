// The key of each stage instance's last result. A hint: it tells `fresh` from `cached`, and gives `why` something to
// compare with. Deleting it changes no result.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { guardStore } from "../store/store-errors.ts";
import { prettyCanonicalJson } from "../util/canonical-json.ts";
import type { Digest } from "../util/digest.ts";

function instancesFile(artifacts: string): string {
  return path.join(artifacts, "index", "instances.json");
}

export function readInstances(artifacts: string): Readonly<Record<string, Digest>> {
  try {
    return JSON.parse(readFileSync(instancesFile(artifacts), "utf8"));
  } catch {
    return {}; // not there yet, or not readable: everything counts as cached instead of fresh
  }
}

/**
 * Lays `changed` over what is there. Writes nothing when nothing moved, so a run in which all is fresh only reads.
 * Throws UserError DISK_FULL, STORE_NOT_WRITABLE.
 */
export function noteInstances(artifacts: string, changed: Readonly<Record<string, Digest>>): void {
  const before = readInstances(artifacts);
  if (Object.entries(changed).every(([id, key]) => before[id] === key)) return;
  const file = instancesFile(artifacts);
  guardStore(artifacts, () => {
    mkdirSync(path.dirname(file), { recursive: true });
    const temporary = `${file}.${process.pid}.tmp`;
    try {
      writeFileSync(temporary, prettyCanonicalJson({ ...before, ...changed }));
      renameSync(temporary, file);
    } finally {
      rmSync(temporary, { force: true });
    }
  });
}
