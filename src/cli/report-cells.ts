// The numbers of the lab's reports by their ids in results.json: `results/baseline/blimp`.

import type { Store } from "../store/store.ts";
import { type Digest, isDigest } from "../util/digest.ts";

const RESULTS = "results.json";

export interface ReportCell {
  readonly id: string;
  /** As the report prints it. */
  readonly text: string;
  /** What it rests on; empty for a number from elsewhere, such as a paper. */
  readonly digests: readonly Digest[];
}

/** The cells of the newest report that is whole; none where no stage ever wrote one. */
export function reportCells(store: Store): readonly ReportCell[] {
  const newestFirst = store.listActions().sort((a, b) => b.provenance.startedAt.localeCompare(a.provenance.startedAt));
  for (const record of newestFirst) {
    if (!store.isComplete(record)) continue;
    for (const digest of Object.values(record.outputs)) {
      const file = store.readTree(digest).entries.find(({ path }) => path === RESULTS);
      if (file?.type === "file") return cellsOf(store.readBytes(file.digest).toString("utf8"));
    }
  }
  return [];
}

/** None where a file of that name is no report's: any stage may write one. */
function cellsOf(text: string): readonly ReportCell[] {
  try {
    const { cells } = JSON.parse(text) as { readonly cells: readonly ReportCell[] };
    return cells.filter(({ id, digests }) => typeof id === "string" && digests.every(isDigest));
  } catch {
    return [];
  }
}
