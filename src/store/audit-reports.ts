// The audit of what left the store: a file of reports/ that is not what a stage made was edited by hand.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { type Digest, digestFile } from "../util/digest.ts";
import type { ActionRecord } from "./actions.ts";
import type { AuditFinding } from "./audit.ts";
import type { Store } from "./store.ts";

/**
 * Published files whose bytes no record's output has under that name. Files that were taken away are none: the next
 * run puts them back. Where no readable output has the name, other findings say why.
 */
export function editedReports(store: Store, records: readonly ActionRecord[]): AuditFinding[] {
  const files = publishedFiles(store).filter(({ file }) => existsSync(file));
  if (files.length === 0) return [];
  const made = madeFiles(store, records);
  return files.flatMap(({ file, name }): AuditFinding[] => {
    const origins = made.get(name);
    if (origins === undefined || origins.has(digestFile(file).digest)) return [];
    const stages = [...new Set(origins.values())].sort();
    return [
      {
        kind: "report-edited",
        path: path.relative(store.root, file),
        detail:
          "The published file is not what a stage made: it was edited. `repro` writes it anew; keep a copy first.",
        artifacts: [],
        madeBy: stages,
        fedInto: [],
      },
    ];
  });
}

/** What the list of published files names inside this lab. */
function publishedFiles(store: Store): { readonly file: string; readonly name: string }[] {
  const reports = path.join(path.dirname(store.root), "reports");
  return Object.entries(readPublished(store))
    .filter(([folder]) => folder === reports || folder.startsWith(reports + path.sep))
    .flatMap(([folder, names]) => names.map((name) => ({ file: path.join(folder, name), name })));
}

function readPublished(store: Store): Readonly<Record<string, readonly string[]>> {
  try {
    return JSON.parse(readFileSync(path.join(store.layout.index, "published.json"), "utf8"));
  } catch {
    return {}; // a hint that may be deleted at any time
  }
}

/** Digests by relative path in the records' outputs, each with a stage that made it. */
function madeFiles(store: Store, records: readonly ActionRecord[]): Map<string, Map<Digest, string>> {
  const made = new Map<string, Map<Digest, string>>();
  for (const { stage, outputs } of records) {
    for (const tree of Object.values(outputs)) {
      if (store.checkObject(tree) !== "ok") continue;
      for (const entry of store.readTree(tree).entries) {
        if (entry.type !== "file") continue;
        const digests = made.get(entry.path) ?? new Map<Digest, string>();
        made.set(entry.path, digests.set(entry.digest, stage));
      }
    }
  }
  return made;
}
