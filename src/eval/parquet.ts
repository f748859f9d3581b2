// Parquet files with given columns, whose bytes depend on the rows alone: one thread, rows in order, zstd.

import { systemErrorCode, UserError } from "../util/errors.ts";

export type ColumnType = "VARCHAR" | "BOOLEAN" | "INTEGER" | "DOUBLE" | "INTEGER[]" | "DOUBLE[]";
type Scalar = string | boolean | number | null;
export type ParquetValue = Scalar | readonly Scalar[];
type ParquetRow<Name extends string> = Readonly<Record<Name, ParquetValue>>;

async function openDatabase() {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  return { instance, connection: await instance.connect() };
}

function sqlString(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * Writes `rows` to `file`, replacing it. NaN and infinities must have become null before: readers of SQL
 * would otherwise meet values that compare in surprising ways.
 */
export async function writeParquet<Name extends string>(
  file: string,
  columns: Readonly<Record<Name, ColumnType>>,
  rows: readonly ParquetRow<Name>[],
): Promise<void> {
  const { LIST, VARCHAR, BOOLEAN, INTEGER, DOUBLE, listValue } = await import("@duckdb/node-api");
  const types = { VARCHAR, BOOLEAN, INTEGER, DOUBLE, "INTEGER[]": LIST(INTEGER), "DOUBLE[]": LIST(DOUBLE) };
  const names = Object.keys(columns) as Name[];
  const { instance, connection } = await openDatabase();
  try {
    await connection.run("SET preserve_insertion_order = true");
    await connection.run(`CREATE TABLE rows (${names.map((name) => `"${name}" ${columns[name]}`).join(", ")})`);
    const appender = await connection.createAppender("rows");
    for (const row of rows) {
      for (const name of names) {
        const value: ParquetValue = row[name];
        if (value === null) appender.appendNull();
        else appender.appendValue(isList(value) ? listValue([...value]) : value, types[columns[name]]);
      }
      appender.endRow();
    }
    appender.closeSync();
    await connection.run(`COPY rows TO ${sqlString(file)} (FORMAT parquet, COMPRESSION zstd)`);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** All rows of `file`, in its order. Throws a UserError when it is missing or lacks a column. */
export async function readParquet<Name extends string>(
  file: string,
  columns: Readonly<Record<Name, ColumnType>>,
): Promise<Record<Name, unknown>[]> {
  const names = Object.keys(columns) as Name[];
  const { instance, connection } = await openDatabase();
  try {
    const list = names.map((name) => `"${name}"`).join(", ");
    const reader = await connection.runAndReadAll(`SELECT ${list} FROM read_parquet(${sqlString(file)})`);
    return reader.getRowObjectsJS() as Record<Name, unknown>[];
  } catch (cause) {
    if (systemErrorCode(cause) !== undefined) throw cause;
    throw new UserError(`${file} cannot be read as a table with the columns ${names.join(", ")}.`, {
      code: "PARQUET_UNREADABLE",
      where: { file },
      hint: "Run `stlm-pipeline audit` to find damaged artifacts, then `stlm-pipeline repro` to make them again.",
      cause,
    });
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function isList(value: ParquetValue): value is readonly Scalar[] {
  return Array.isArray(value);
}
