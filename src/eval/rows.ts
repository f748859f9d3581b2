// The rows of a benchmark's file as published, as plain values. Benchmarks are small: a file is read at once.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { FileFormat } from "../data/datasets/dataset.ts";
import { messageOf, UserError } from "../util/errors.ts";
import { readParquetAsJson } from "./parquet.ts";

/** More than ten times the largest published file, MMLU's or HellaSwag's, unpacked. */
const MAX_BYTES = 512 * 1024 * 1024;

/** Throws a UserError for a format that holds no rows and for damaged files. */
export async function readRows(file: string, format: FileFormat): Promise<unknown[]> {
  switch (format) {
    case "jsonl":
      return parseLines(file, readFileSync(file));
    case "jsonl.gz":
      return parseLines(file, unzip(file));
    case "json":
      return parseArray(file, readFileSync(file, "utf8"));
    case "parquet":
      return parseEach(file, await readParquetAsJson(file));
    default:
      throw new UserError(`${file} is a file of the format "${format}", which holds no benchmark rows.`, {
        code: "BENCHMARK_FORMAT",
        where: { file },
        hint: "Benchmarks are read from jsonl, jsonl.gz, json and parquet.",
      });
  }
}

function unzip(file: string): Buffer {
  try {
    return gunzipSync(readFileSync(file), { maxOutputLength: MAX_BYTES });
  } catch (cause) {
    throw damaged(file, messageOf(cause), cause);
  }
}

function parseLines(file: string, bytes: Buffer): unknown[] {
  return parseEach(file, bytes.toString("utf8").split("\n"));
}

/** Empty lines are no rows; JSON.parse takes the return of a CRLF file for white space. */
function parseEach(file: string, texts: readonly string[]): unknown[] {
  return texts.flatMap((text, index) => {
    if (text.trim() === "") return [];
    try {
      return [JSON.parse(text)];
    } catch (cause) {
      throw damaged(file, `row ${index + 1}: ${messageOf(cause)}`, cause, index + 1);
    }
  });
}

function parseArray(file: string, text: string): unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(file, messageOf(cause), cause);
  }
  if (Array.isArray(value)) return value;
  throw damaged(file, "it holds no array of rows", undefined);
}

function damaged(file: string, problem: string, cause: unknown, line?: number): UserError {
  return new UserError(`${file} cannot be read: ${problem}.`, {
    code: "BENCHMARK_UNREADABLE",
    where: { file, ...(line !== undefined && { line }) },
    hint: "Download the data set again, or leave the benchmark out of `tasks`.",
    cause,
  });
}
