// Tables to files that other programs read: the formats by name.

import { mkdirSync } from "node:fs";
import path from "node:path";
import { openArrowWriter } from "./arrow.ts";
import { openParquetWriter } from "./parquet.ts";
import type { ExportColumn, ExportTable, TableWriter } from "./table.ts";

type Open = (file: string, columns: readonly ExportColumn[]) => Promise<TableWriter>;

export const exportFormats = { arrow: openArrowWriter, parquet: openParquetWriter } satisfies Record<string, Open>;

export type ExportFormat = keyof typeof exportFormats;

export const exportFormatNames = Object.keys(exportFormats) as [ExportFormat, ...ExportFormat[]];

/** Writes the whole table to `file`, which is replaced in one step at the end. Returns the number of rows. */
export async function exportTable(
  table: ExportTable,
  file: string,
  format: ExportFormat,
  onProgress: (rows: number) => void = () => {},
): Promise<number> {
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  const writer = await exportFormats[format](path.resolve(file), table.columns);
  let rows = 0;
  try {
    for await (const batch of table.batches()) {
      await writer.write(batch);
      rows += batch.rows;
      onProgress(rows);
    }
    await writer.finish();
  } catch (error) {
    await writer.abort();
    throw error;
  }
  return rows;
}
