// Parquet through DuckDB: one file, in the order of its rows, a chunk of rows at a time.

import type { DuckDBConnection } from "@duckdb/node-api";
import { messageOf, UserError } from "../../util/errors.ts";
import { compileTemplate } from "../template.ts";
import { badRow, type Reader, type SourceFile, wellFormed } from "./reader.ts";

/** One thread keeps the rows in the file's order and the memory at one row group. */
const SETTINGS = { threads: "1" };

/**
 * Of the result between DuckDB and us. It counts a text by the 16 bytes of its handle, so that its default of a megabyte
 * would hold 60,000 documents: a gigabyte of web pages.
 */
const BUFFER = "SET streaming_buffer_size = '1KB'";

/** Types that become JSON; all others become text. */
const NESTED = /^(STRUCT|MAP|UNION|JSON)|\]$/;

/** Stands before every text: DuckDB's client drops a U+FEFF at its beginning, taking it for a byte-order mark. */
const GUARD = ".";

export const readParquet: Reader = async function* (file, context) {
  const template = compileTemplate(file.text.template);
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", SETTINGS);
  const connection = await instance.connect();
  try {
    await connection.run(BUFFER);
    const source = `read_parquet('${quoteGlob(file.path)}')`;
    const columns = await describe(connection, source, file);
    for (const name of template.columns) {
      if (columns.has(name)) continue;
      const hint = `Its columns are: ${[...columns.keys()].join(", ")}. The template is "${file.text.template}".`;
      throw new UserError(`${file.label} has no column "${name}".`, {
        code: "NO_COLUMN",
        where: { file: file.label },
        hint,
      });
    }
    const nested = template.columns.map((name) => NESTED.test(columns.get(name)!));
    const expressions = template.columns.map((name, index) =>
      nested[index] ? `to_json(${quoteName(name)})::VARCHAR` : `'${GUARD}' || ${quoteName(name)}::VARCHAR`,
    );
    const total = await countRows(connection, source);
    const result = await connection.stream(`SELECT ${expressions.join(", ")} FROM ${source}`);
    let row = 0;
    let reported = 0;
    for (
      let chunk = await result.fetchChunk();
      chunk !== null && chunk.rowCount > 0;
      chunk = await result.fetchChunk()
    ) {
      const vectors = expressions.map((_, index) => chunk!.getColumnVector(index));
      for (let index = 0; index < chunk.rowCount; index++) {
        row++;
        const values: Record<string, unknown> = {};
        for (const [column, name] of template.columns.entries()) {
          const value = vectors[column]!.getItem(index);
          if (typeof value !== "string") values[name] = value;
          else values[name] = nested[column] ? JSON.parse(value) : value.slice(GUARD.length);
        }
        let text: string;
        try {
          text = template.render(values);
        } catch (error) {
          throw badRow(file, row, messageOf(error));
        }
        yield wellFormed(text, context.counts);
      }
      context.signal.throwIfAborted();
      const consumed = Math.floor((file.bytes * row) / Math.max(1, total));
      context.onRead(consumed - reported);
      reported = consumed;
    }
  } catch (cause) {
    if (cause instanceof UserError || context.signal.aborted) throw cause;
    throw damaged(file, cause);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
};

/** Column names with their DuckDB types. */
async function describe(connection: DuckDBConnection, source: string, file: SourceFile): Promise<Map<string, string>> {
  try {
    const reader = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`);
    return new Map(reader.getRowObjects().map((row) => [String(row["column_name"]), String(row["column_type"])]));
  } catch (cause) {
    throw damaged(file, cause);
  }
}

async function countRows(connection: DuckDBConnection, source: string): Promise<number> {
  const reader = await connection.runAndReadAll(`SELECT count(*)::DOUBLE AS rows FROM ${source}`);
  return Number(reader.getRowObjects()[0]!["rows"]);
}

function damaged(file: SourceFile, cause: unknown): UserError {
  // The path is of a folder that is gone when this is read.
  const problem = messageOf(cause).split("\n")[0]!.replaceAll(file.path, file.label);
  return new UserError(`${file.label} cannot be read as Parquet: ${problem}`, {
    code: "BAD_PARQUET",
    where: { file: file.label },
    hint: "Download the file again; if that does not help, convert it to .jsonl.",
    cause,
    exitCode: 1,
  });
}

const quoteName = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** A path inside an SQL string, with the characters that DuckDB would read as a pattern taken literally. */
const quoteGlob = (path: string) => path.replace(/[[*?]/g, "[$&]").replaceAll("'", "''");
