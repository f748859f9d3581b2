// Writes a table as Parquet, by way of JSON lines on the disk beside it that DuckDB turns into Parquet row by row: its
// own tables would have to be in memory, lists of tokens above all.

import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { messageOf, UserError } from "../../util/errors.ts";
import type { ExportColumn, ExportType, ExportValue, TableWriter } from "./table.ts";

/** One thread keeps the rows in their order. */
const SETTINGS = { threads: "1", memory_limit: "1GB", preserve_insertion_order: "true" };

/** Few rows, since a document may be long and a row group is in memory whole. */
const ROW_GROUP = 2048;

/** DuckDB reserves twice as much, so it is no more than the longest line needs. */
const LINE_BYTES = 1 << 24;

const DUCKDB_TYPES: Readonly<Record<ExportType, string>> = {
  text: "VARCHAR",
  bool: "BOOLEAN",
  int: "INTEGER",
  long: "BIGINT",
  double: "DOUBLE",
  "int[]": "INTEGER[]",
  "double[]": "DOUBLE[]",
  "text[]": "VARCHAR[]",
};

/** Bytes go to `<file>.partial` until the table is whole, by way of `<file>.partial.jsonl`. */
export async function openParquetWriter(file: string, columns: readonly ExportColumn[]): Promise<TableWriter> {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const partial = `${file}.partial`;
  const lines = `${partial}.jsonl`;
  const descriptor = openSync(lines, "w");
  const names = columns.map(({ name }) => JSON.stringify(name));
  let longest = 0;
  let isOpen = true;
  const close = () => {
    if (isOpen) closeSync(descriptor);
    isOpen = false;
  };
  return {
    write({ rows, values }) {
      for (let row = 0; row < rows; row++) {
        const members = names.map((name, column) => `${name}:${jsonOf(values[column]![row]!)}`);
        const line = Buffer.from(`{${members.join(",")}}\n`);
        longest = Math.max(longest, line.length);
        for (let at = 0; at < line.length; ) at += writeSync(descriptor, line, at);
      }
    },
    async finish() {
      close();
      const types = columns.map(({ name, type }) => `${quoteText(name)}: ${quoteText(DUCKDB_TYPES[type])}`).join(", ");
      const size = Math.max(LINE_BYTES, longest + 1);
      const options = `format = 'newline_delimited', columns = {${types}}, maximum_object_size = ${size}`;
      const instance = await DuckDBInstance.create(":memory:", SETTINGS);
      const connection = await instance.connect();
      try {
        await connection.run(
          `COPY (SELECT * FROM read_json(${quotePath(lines)}, ${options})) TO ${quoteText(partial)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROW_GROUP})`,
        );
      } finally {
        connection.closeSync();
        instance.closeSync();
      }
      rmSync(lines);
      renameSync(partial, file);
    },
    abort() {
      close();
      for (const name of [partial, lines]) rmSync(name, { force: true });
    },
  };
}

/** Ids without a call for each; a whole number of 64 bits as its digits. */
function jsonOf(value: ExportValue): string {
  if (value instanceof Int32Array) return `[${value.join(",")}]`;
  return typeof value === "bigint" ? String(value) : JSON.stringify(value);
}

/** Parquet files of ours, such as an evaluation's rows, as a table. Throws a UserError where one cannot be read. */
export async function parquetTable(file: string) {
  const { DuckDBInstance, DuckDBListValue } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", SETTINGS);
  const connection = await instance.connect();
  const source = `read_parquet(${quotePath(file)})`;
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

const TYPES = new Map(Object.entries(DUCKDB_TYPES).map(([type, name]) => [name, type as ExportType]));

function typeFor(type: string, file: string): ExportType {
  const known = TYPES.get(type);
  if (known !== undefined) return known;
  throw new UserError(`${file} has a column of the type ${type}, which is not exported.`, {
    code: "EXPORT_TYPE",
    where: { file },
    hint: "It is Parquet already: most programs read it as it is.",
  });
}

const quoteText = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** With the characters that DuckDB would read as a pattern taken literally. */
const quotePath = (path: string) => quoteText(path.replace(/[[*?]/g, "[$&]"));
