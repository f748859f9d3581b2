// Tables to files that other programs read: the formats by name.

import { mkdirSync, statSync } from "node:fs";
import path from "node:path";
import { messageOf, systemErrorCode, UserError } from "../../util/errors.ts";
import { openArrowWriter } from "./arrow.ts";
import { openParquetWriter } from "./parquet.ts";
import type { ExportColumn, ExportTable, TableWriter } from "./table.ts";

type Open = (file: string, columns: readonly ExportColumn[]) => Promise<TableWriter>;

export const exportFormats = { arrow: openArrowWriter, parquet: openParquetWriter } satisfies Record<string, Open>;

export type ExportFormat = keyof typeof exportFormats;

export const exportFormatNames = Object.keys(exportFormats) as [ExportFormat, ...ExportFormat[]];

/**
 * Writes the whole table to `file`, which is replaced in one step at the end. Returns the number of rows. Throws a UserError
 * where the system does not let it be written.
 */
export async function exportTable(
  table: ExportTable,
  file: string,
  format: ExportFormat,
  onProgress: (rows: number) => void = () => {},
): Promise<number> {
  const target = path.resolve(file);
  const writer = await openWriter(target, format, table.columns);
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
    throw isAbout(target, error) ? notWritable(target, messageOf(error)) : error;
  }
  return rows;
}

async function openWriter(target: string, format: ExportFormat, columns: readonly ExportColumn[]) {
  try {
    // A device or a pipe would be replaced by a file too.
    if (statSync(target, { throwIfNoEntry: false })?.isFile() !== false) {
      mkdirSync(path.dirname(target), { recursive: true });
      return await exportFormats[format](target, columns);
    }
  } catch (error) {
    throw systemErrorCode(error) === undefined ? error : notWritable(target, messageOf(error));
  }
  throw notWritable(target, "it is no file");
}

/** Whether the system refused to write: the rest of what goes wrong comes from where the rows are read. */
function isAbout(target: string, error: unknown): boolean {
  if (!(error instanceof Error) || systemErrorCode(error) === undefined) return false;
  const names = "path" in error && typeof error.path === "string" && error.path.startsWith(target);
  return names || ("syscall" in error && error.syscall === "write");
}

function notWritable(target: string, problem: string): UserError {
  return new UserError(`${target} cannot be written: ${problem}.`, {
    code: "EXPORT_TARGET",
    where: { file: target },
    hint: "Name another file by --output, on a disk with room, in a folder that this user may write to.",
  });
}
