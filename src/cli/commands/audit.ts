// `audit`: does every byte match its name and every record its key; or for one hash, stage or number of
// the report, what made it and what it fed.

import { type AuditFinding, auditStore, type Trace, traceDigest } from "../../store/audit.ts";
import type { Store } from "../../store/store.ts";
import { type Digest, shortDigest } from "../../util/digest.ts";
import { didYouMean, UserError } from "../../util/errors.ts";
import { formatCount } from "../../util/format.ts";
import { openPastStore } from "../lab.ts";
import { originRows } from "../origin.ts";
import { columns, EXIT, print, printJson } from "../output.ts";
import { newestRecord } from "../records.ts";
import { type ReportCell, reportCells } from "../report-cells.ts";

interface AuditOptions {
  readonly directory: string;
  readonly json: boolean;
}

export async function audit(what: string | undefined, options: AuditOptions): Promise<number> {
  const store = openPastStore(options.directory);
  return what === undefined ? auditAll(store, options.json) : auditOne(store, what, options.json);
}

async function auditAll(store: Store, json: boolean): Promise<number> {
  const live = process.stderr.isTTY === true && !json;
  const report = await auditStore(store, {
    onProgress: (done, total) => {
      if (live) process.stderr.write(done === total ? "\r\x1b[K" : `\r  ${done} of ${total} objects`);
    },
  });
  if (json) printJson(report);
  else {
    for (const finding of report.findings) print(describeFinding(finding));
    const counts = `${formatCount(report.objects)} objects, ${formatCount(report.records)} records, ${formatCount(report.logEntries)} log entries`;
    if (report.unloggedRecords > 0)
      print(
        `Note: no log entry tells of ${formatCount(report.unloggedRecords)} of the records: a run was killed before it wrote one, or an older log is gone.`,
      );
    if (report.findings.length === 0) print(`${counts}: every byte and record verified.`);
    else print(`${counts}: ${report.findings.length} found different; what helps is said with each.`);
  }
  return report.findings.length > 0 ? EXIT.difference : EXIT.done;
}

function describeFinding({ kind, digest, path, detail, artifacts, madeBy, fedInto }: AuditFinding): string {
  return [
    `${kind}  ${digest ?? ""}`.trimEnd(),
    `  at        ${path}`,
    `  what      ${detail}`,
    ...(artifacts.length > 0 ? [`  holds     ${artifacts.join(", ")}`] : []),
    ...(madeBy.length > 0 ? [`  made by   ${madeBy.join(", ")}`] : []),
    ...(fedInto.length > 0 ? [`  fed into  ${fedInto.join(", ")}`] : []),
  ].join("\n");
}

function auditOne(store: Store, what: string, json: boolean): number {
  const { digests, cell } = named(store, what);
  const traces = digests.map((digest) => traceDigest(store, digest));
  if (json) printJson(traces);
  else {
    if (cell) print(`${cell.id} is ${cell.text} in the newest report, and rests on:\n`);
    print(traces.map(describeTrace).join("\n\n"));
  }
  return traces.some(({ state }) => state !== "ok") ? EXIT.difference : EXIT.done;
}

/** A stage instance's newest record, what begins with the given digits, or what a number of the report rests on. */
function named(store: Store, what: string): { readonly digests: readonly Digest[]; readonly cell?: ReportCell } {
  const record = newestRecord(store, what);
  if (record !== undefined) return { digests: [record.key] };
  const digests = /^(sha256:)?[0-9a-fA-F]{4,64}$/.test(what) ? store.resolve(what) : [];
  if (digests.length > 0) return { digests };
  const cells = reportCells(store);
  const cell = cells.find(({ id }) => id === what);
  if (cell && cell.digests.length > 0) return { digests: cell.digests, cell };
  if (cell) {
    throw new UserError(`${cell.id} is ${cell.text} in the newest report, and rests on nothing of this lab.`, {
      code: "NO_ARTIFACT",
    });
  }
  const near = didYouMean(
    what,
    cells.map(({ id }) => id),
  );
  throw new UserError(`Nothing in this lab is called "${what}", and no object or key begins so.`, {
    code: "UNKNOWN_DIGEST",
    hint:
      "Give the digits that a report prints, a whole digest, a stage such as train[model=baseline,seed=1], or the id of a number in " +
      `the report's results.json, results/baseline/blimp for one.${near}`,
  });
}

function describeTrace({ digest, kind, state, madeBy, fed }: Trace): string {
  const verified = state === "ok" ? "bytes verified" : `bytes ${state}`;
  const rows = madeBy.map(({ record, output, path }) => [
    "made by",
    record.stage,
    [output, path].filter((part) => part !== "").join("/"),
    `key ${shortDigest(record.key)}`,
    record.provenance.startedAt,
  ]);
  // What several runs made tells nothing of one of them: the keys above lead on.
  const [maker, ...others] = new Set(madeBy.map(({ record }) => record));
  const origin = maker && others.length === 0 ? originRows(maker).map((row) => [" ", ...row]) : [];
  const fedRows = fed.map((record) => ["fed", record.stage, `key ${shortDigest(record.key)}`]);
  const tables = [rows, origin, fedRows].filter((table) => table.length > 0).map(columns);
  return [`${digest}  ${kind}, ${verified}`, ...tables].join("\n");
}
