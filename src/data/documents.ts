// The documents of a `dataset` folder, one after the other: files in the order of dataset.json, rows in the order of
// the file. Nothing is loaded whole.

import { createHash } from "node:crypto";
import path from "node:path";
import { UserError } from "../util/errors.ts";
import type { FileFormat } from "./datasets/dataset.ts";
import { readDatasetManifest } from "./datasets/manifest.ts";
import { readArrow } from "./readers/arrow.ts";
import { readGzippedJsonLines, readJsonArray, readJsonLines } from "./readers/json.ts";
import { readParquet } from "./readers/parquet.ts";
import type { ReadCounts, Reader } from "./readers/reader.ts";
import { readGzippedText, readText } from "./readers/text.ts";

/** Stands between the score and the document in a template that yields both: the ASCII unit separator. */
const AFTER_SCORE = "\u001f";

export interface SourceDocument {
  readonly text: string;
  /** The text's UTF-8 bytes. */
  readonly utf8: Buffer;
  /** SHA-256 of `utf8`, 32 bytes. */
  readonly hash: Buffer;
  /** The source of a mix that it comes from. */
  readonly sourceName?: string;
  /** The number in its score column, where the data set names one. */
  readonly score?: number;
}

export interface ReadDocumentsOptions {
  readonly signal: AbortSignal;
  /** Filled in place; read it after the last document. */
  readonly counts?: ReadCounts;
  /** Bytes of the source files that were consumed, of all their bytes. */
  readonly onProgress?: (done: number, total: number, file: string) => void;
}

const readers: Record<FileFormat, Reader> = {
  jsonl: readJsonLines,
  "jsonl.gz": readGzippedJsonLines,
  json: readJsonArray,
  txt: readText,
  "txt.gz": readGzippedText,
  parquet: readParquet,
  arrow: readArrow,
};

/**
 * Streams a data set. Empty documents are left out and counted; a row that cannot be read is a UserError with its
 * file and line. Throws a UserError for benchmarks, whose items are no running text.
 */
export async function* readDocuments(folder: string, options: ReadDocumentsOptions): AsyncGenerator<SourceDocument> {
  const manifest = readDatasetManifest(folder);
  if (manifest.kind !== "text") {
    throw new UserError(`The data set ${manifest.name} holds benchmark items, not text.`, {
      code: "NOT_TEXT",
      hint: "Give the tokenize stage a text data set, such as bundled-stories.",
    });
  }
  const counts = options.counts ?? { empty: 0, replaced: 0 };
  const total = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  let done = 0;
  for (const file of manifest.files) {
    const onRead = (bytes: number) => {
      done += bytes;
      options.onProgress?.(done, total, file.path);
    };
    const { template, separator, documentBytes, score } = file.text ?? manifest.text;
    const text = {
      template: score === undefined ? template : `{${score}}${AFTER_SCORE}${template}`,
      ...(separator === undefined ? {} : { separator }),
      ...(documentBytes === undefined ? {} : { documentBytes }),
    };
    const source = {
      path: path.join(folder, "files", ...file.path.split("/")),
      label: file.path,
      bytes: file.bytes,
      text,
    };
    const origin = file.sourceName === undefined ? {} : { sourceName: file.sourceName };
    let number = 0;
    for await (const rendered of readers[file.format](source, { signal: options.signal, counts, onRead })) {
      number++;
      const scored = score === undefined ? undefined : splitScore(rendered, score, `${file.path}, document ${number},`);
      const document = scored?.text ?? rendered;
      if (document === "") {
        counts.empty++;
        continue;
      }
      const utf8 = Buffer.from(document, "utf8");
      const hash = createHash("sha256").update(utf8).digest();
      yield { text: document, utf8, hash, ...origin, ...(scored && { score: scored.score }) };
    }
    options.signal.throwIfAborted();
  }
}

/** Takes the score off the front, where the template has put it. */
function splitScore(rendered: string, column: string, place: string): { score: number; text: string } {
  const end = rendered.indexOf(AFTER_SCORE);
  const value = rendered.slice(0, end);
  const score = value.trim() === "" ? Number.NaN : Number(value);
  if (Number.isFinite(score)) return { score, text: rendered.slice(end + AFTER_SCORE.length) };
  throw new UserError(`${place} has the score "${value.slice(0, 40)}", which is no number.`, {
    code: "BAD_SCORE",
    where: { path: "dataset.score" },
    hint: `Correct the column ${column}, or leave \`score\` out of the data set.`,
    exitCode: 1,
  });
}
