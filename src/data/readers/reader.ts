// What the readers of single file formats share: their input, their counts and the errors that point at a line.

import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { messageOf, systemErrorCode, UserError } from "../../util/errors.ts";
import type { TextRule } from "../datasets/dataset.ts";

export interface SourceFile {
  /** Absolute. */
  readonly path: string;
  /** What messages call it: the path inside the data set. */
  readonly label: string;
  readonly bytes: number;
  readonly text: TextRule;
}

export interface ReadContext {
  readonly signal: AbortSignal;
  readonly counts: ReadCounts;
  /** Called with the bytes of the source file that were consumed since the last call. */
  readonly onRead: (bytes: number) => void;
}

/** Filled while reading. */
export interface ReadCounts {
  /** Documents of no bytes at all, left out. */
  empty: number;
  /** Documents with invalid UTF-8 or lone surrogates, which became U+FFFD. */
  replaced: number;
}

/** One file, one stream of documents in the order of the file. */
export type Reader = (file: SourceFile, context: ReadContext) => AsyncGenerator<string>;

export function badRow(file: SourceFile, line: number, problem: string, hint?: string): UserError {
  return new UserError(`${file.label}:${line} cannot be read: ${problem}.`, {
    code: "BAD_DOCUMENT",
    where: { file: file.label, line },
    hint: hint ?? "Correct the line or the template of the data set; nothing is skipped silently.",
    exitCode: 1,
  });
}

/** The file's bytes, unpacked if asked, counted as they are consumed. Damage becomes a UserError. */
export async function* readBytes(file: SourceFile, gzip: boolean, context: ReadContext): AsyncGenerator<Buffer> {
  const source = createReadStream(file.path, { highWaterMark: 1 << 18 });
  source.on("data", (chunk) => context.onRead(chunk.length));
  const stream = gzip ? source.pipe(createGunzip({ chunkSize: 1 << 18 })) : source;
  if (gzip) source.on("error", (error) => stream.destroy(error));
  try {
    for await (const chunk of stream) {
      context.signal.throwIfAborted();
      yield chunk as Buffer;
    }
  } catch (cause) {
    if (systemErrorCode(cause)?.startsWith("Z_") !== true) throw cause;
    throw new UserError(`${file.label} is damaged: ${messageOf(cause)}.`, {
      code: "BAD_GZIP",
      where: { file: file.label },
      hint: "Download the file again or unpack it by hand to see where it ends.",
      cause,
      exitCode: 1,
    });
  } finally {
    source.destroy();
    stream.destroy();
  }
}

/** Text of bytes; what is not UTF-8 becomes U+FFFD and is counted once a document. */
export function decodeUtf8(bytes: Buffer, counts: ReadCounts): string {
  if (!isUtf8(bytes)) counts.replaced++;
  return bytes.toString("utf8");
}

/** JSON can spell half a surrogate pair, which UTF-8 cannot: it becomes U+FFFD and is counted. */
export function wellFormed(text: string, counts: ReadCounts): string {
  if (text.isWellFormed()) return text;
  counts.replaced++;
  return text.toWellFormed();
}
