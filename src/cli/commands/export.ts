// `export`: shards and the rows of an evaluation as files of other programs, Arrow or Parquet.

import { existsSync } from "node:fs";
import path from "node:path";
import { type ExportFormat, exportTable } from "../../data/export/index.ts";
import { parquetTable } from "../../data/export/parquet.ts";
import { shardsTable } from "../../data/export/shards-table.ts";
import type { ExportTable } from "../../data/export/table.ts";
import type { SplitName } from "../../data/split.ts";
import { UserError } from "../../util/errors.ts";
import { formatCount } from "../../util/format.ts";
import { Artifacts } from "../artifacts.ts";
import { print, printJson } from "../output.ts";
import { openShardSource } from "../shards.ts";

interface ExportOptions {
  readonly directory: string;
  readonly to: ExportFormat;
  readonly output?: string;
  readonly split?: SplitName;
  readonly rows: "items" | "documents";
  readonly tokenizer?: string;
  readonly json: boolean;
}

export async function exportArtifact(what: string, options: ExportOptions): Promise<number> {
  using artifacts = new Artifacts(options.directory);
  const found = artifacts.find(what, ["manifest.json", `${options.rows}.parquet`]);
  const table = await openTable(artifacts, found, options);
  try {
    const file = options.output ?? `${found.title}.${options.to}`;
    const rows = await exportTable(table, file, options.to, progress(options.json));
    if (options.json) printJson({ file, rows, columns: table.columns });
    else print(`${file}: ${formatCount(rows)} rows of ${table.columns.map(({ name }) => name).join(", ")}`);
    return 0;
  } finally {
    table.close();
  }
}

async function openTable(
  artifacts: Artifacts,
  found: { readonly place: string; readonly isFolder: boolean },
  options: ExportOptions,
): Promise<ExportTable & { close(): void }> {
  const rows = found.isFolder ? path.join(found.place, `${options.rows}.parquet`) : found.place;
  const isEvaluation = found.isFolder ? existsSync(rows) : found.place.endsWith(".parquet");
  if (isEvaluation) return parquetTable(rows);
  if (found.isFolder && !existsSync(path.join(found.place, "manifest.json"))) {
    throw new UserError(`${found.place} holds neither shards nor the rows of an evaluation.`, {
      code: "NOT_EXPORTABLE",
      hint: "Name what a shard or an evaluate stage made: the stage, its hash, or a folder.",
    });
  }
  const source = openShardSource(artifacts, found, options);
  try {
    source.verify(); // a damaged shard must not leave in another form
  } catch (error) {
    source.close();
    throw error;
  }
  return { ...shardsTable(source.documents(0)), close: () => source.close() };
}

function progress(json: boolean): (rows: number) => void {
  const live = process.stderr.isTTY === true && !json;
  let last = 0;
  return (rows) => {
    if (!live || performance.now() - last < 200) return;
    last = performance.now();
    process.stderr.write(`\r  ${formatCount(rows)} rows`);
  };
}
