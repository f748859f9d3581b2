// Writes a table as Parquet, through a DuckDB database on the disk beside it, so that memory stays bounded.

import { renameSync, rmSync } from "node:fs";
import { messageOf, UserError } from "../../util/errors.ts";
import type { ExportColumn, ExportType, ExportValue, TableWriter } from "./table.ts";

const SETTINGS = { threads: "1", memory_limit: "512MB", preserve_insertion_order: "true" };

/** Few rows, since a document may be long: a row group is in memory whole. */
const ROW_GROUP = 4096;

/** Bytes go to `<file>.partial` until the table is whole, by way of `<file>.partial.duckdb`. */
export async function openParquetWriter(file: string, columns: readonly ExportColumn[]): Promise<TableWriter> {
  const { DuckDBInstance, DuckDBDataChunk, LIST, VARCHAR, BOOLEAN, INTEGER, BIGINT, DOUBLE, listValue } = await import(
    "@duckdb/node-api"
  );
  const types = {
    text: VARCHAR,
    bool: BOOLEAN,
    int: INTEGER,
    long: BIGINT,
    double: DOUBLE,
    "int[]": LIST(INTEGER),
    "double[]": LIST(DOUBLE),
    "text[]": LIST(VARCHAR),
  } satisfies Record<ExportType, unknown>;
  const partial = `${file}.partial`;
  const database = `${partial}.duckdb`;
  const scratch = [database, `${database}.wal`, `${database}.tmp`];
  const remove = (...files: string[]) => {
    for (const name of files) rmSync(name, { recursive: true, force: true });
  };
  remove(partial, ...scratch); // of a run that was killed
  const instance = await DuckDBInstance.create(database, SETTINGS);
  const connection = await instance.connect();
  const list = columns.map(({ name, type }) => `${quoteName(name)} ${types[type]}`).join(", ");
  await connection.run(`CREATE TABLE rows (${list})`);
  const appender = await connection.createAppender("rows");
  const close = () => {
    connection.closeSync();
    instance.closeSync();
    remove(...scratch);
  };
  const toDuckDB = (value: ExportValue) => (isList(value) ? listValue(Array.from<unknown>(value) as never[]) : value);
  return {
    write({ rows, values }) {
      const chunk = DuckDBDataChunk.create(
        columns.map(({ type }) => types[type]),
        rows,
      );
      chunk.setColumns(values.map((column) => column.map(toDuckDB)));
      appender.appendDataChunk(chunk);
      appender.flushSync();
    },
    async finish() {
      appender.closeSync();
      const options = `FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROW_GROUP}`;
      await connection.run(`COPY rows TO ${quoteText(partial)} (${options})`);
      close();
      renameSync(partial, file);
    },
    abort() {
      close();
      remove(partial);
    },
  };
}

/** Parquet files of ours, such as an evaluation's rows, as a table. Throws a UserError where one cannot be read. */
export async function parquetTable(file: string) {
  const { DuckDBInstance, DuckDBListValue } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", SETTINGS);
  const connection = await instance.connect();
  const source = `read_parquet(${quoteText(file.replace(/[[*?]/g, "[$&]"))})`;
  try {
    const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`);
    const columns = described
      .getRowObjects()
      .map(
        (row): ExportColumn => ({ name: String(row["column_name"]), type: typeFor(String(row["column_type"]), file) }),
      );
    const plain = (value: unknown) => (value instanceof DuckDBListValue ? value.items : value) as ExportValue;
    async function* batches() {
      const result = await connection.stream(`SELECT * FROM ${source}`);
      for (
        let chunk = await result.fetchChunk();
        chunk !== null && chunk.rowCount > 0;
        chunk = await result.fetchChunk()
      ) {
        yield { rows: chunk.rowCount, values: chunk.getColumns().map((column) => column.map(plain)) };
      }
    }
    const close = () => {
      connection.closeSync();
      instance.closeSync();
    };
    return { columns, batches, close };
  } catch (cause) {
    connection.closeSync();
    instance.closeSync();
    if (cause instanceof UserError) throw cause;
    throw new UserError(`${file} cannot be read as Parquet: ${messageOf(cause).split("\n")[0]}.`, {
      code: "PARQUET_UNREADABLE",
      where: { file },
      hint: "Run `stlm-pipeline audit` to find damaged artifacts, then `stlm-pipeline repro` to make them again.",
      cause,
    });
  }
}

const TYPES: Readonly<Record<string, ExportType>> = {
  VARCHAR: "text",
  BOOLEAN: "bool",
  INTEGER: "int",
  BIGINT: "long",
  DOUBLE: "double",
  "INTEGER[]": "int[]",
  "DOUBLE[]": "double[]",
  "VARCHAR[]": "text[]",
};

function typeFor(type: string, file: string): ExportType {
  const known = TYPES[type];
  if (known !== undefined) return known;
  throw new UserError(`${file} has a column of the type ${type}, which is not exported.`, {
    code: "EXPORT_TYPE",
    where: { file },
    hint: "It is Parquet already: most programs read it as it is.",
  });
}

function isList(value: ExportValue): value is Int32Array | readonly (string | boolean | number | bigint | null)[] {
  return Array.isArray(value) || value instanceof Int32Array;
}

const quoteName = (name: string) => `"${name.replaceAll('"', '""')}"`;
const quoteText = (text: string) => `'${text.replaceAll("'", "''")}'`;
