// Shards as a table: a document a row.

import type { TextDocument } from "../shard-texts.ts";
import type { ExportBatch, ExportColumn, ExportTable } from "./table.ts";

const COLUMNS: readonly ExportColumn[] = [
  { name: "split", type: "text" },
  { name: "document", type: "long" },
  { name: "text", type: "text" },
  { name: "tokens", type: "int[]" },
];

/** Whichever comes first ends a batch, so that neither long nor short documents cost much memory. */
const MAX_ROWS = 1000;
const MAX_TOKENS = 1 << 20;

export function shardsTable(documents: Iterable<TextDocument>): ExportTable {
  return { columns: COLUMNS, batches: () => batchesOf(documents) };
}

function* batchesOf(documents: Iterable<TextDocument>): Generator<ExportBatch> {
  let rows: TextDocument[] = [];
  let tokens = 0;
  const batch = (): ExportBatch => ({
    rows: rows.length,
    values: [
      rows.map((row) => row.split),
      rows.map((row) => BigInt(row.document)),
      rows.map((row) => row.text),
      rows.map((row) => row.ids),
    ],
  });
  for (const document of documents) {
    rows.push(document);
    tokens += document.ids.length;
    if (rows.length < MAX_ROWS && tokens < MAX_TOKENS) continue;
    yield batch();
    rows = [];
    tokens = 0;
  }
  if (rows.length > 0) yield batch();
}
