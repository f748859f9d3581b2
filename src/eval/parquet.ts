// Parquet files with given columns, whose bytes depend on the rows alone: one thread, rows in order, zstd.

import { messageOf, UserError } from "../util/errors.ts";

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

/** All rows of `file`, in its order. Throws a UserError when it is missing, damaged or lacks a column. */
export async function readParquet<Name extends string>(
  file: string,
  columns: Readonly<Record<Name, ColumnType>>,
): Promise<Record<Name, unknown>[]> {
  const names = Object.keys(columns);
  return (await select(file, names.map((name) => `"${name}"`).join(", "))) as Record<Name, unknown>[];
}

/** All rows of `file`, whatever its columns, in its order, each as the text of a JSON object. */
export async function readParquetAsJson(file: string): Promise<string[]> {
  const rows = await select(file, "to_json(source)::VARCHAR AS json");
  return rows.map(({ json }) => String(json));
}

async function select(file: string, expressions: string): Promise<Record<string, unknown>[]> {
  const { instance, connection } = await openDatabase();
  try {
    const literal = file.replaceAll(/[[*?]/g, "[$&]"); // else DuckDB reads them as a pattern
    const query = `SELECT ${expressions} FROM read_parquet(${sqlString(literal)}) AS source`;
    return (await connection.runAndReadAll(query)).getRowObjectsJS();
  } catch (cause) {
    throw new UserError(`${file} cannot be read as Parquet: ${messageOf(cause).split("\n")[0]}.`, {
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
