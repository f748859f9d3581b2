// Apache Arrow IPC, the stream and the file format, as Hugging Face `datasets` keeps its cache and save_to_disk():
// one record batch at a time (https://arrow.apache.org/docs/format/Columnar.html, "Serialization and IPC").

import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { DataType, RecordBatch, RecordBatchReader, Schema, Vector } from "apache-arrow";
import { messageOf, systemErrorCode, UserError } from "../../util/errors.ts";
import { compileTemplate } from "../template.ts";
import { requireSound } from "./arrow-data.ts";
import { checkArrowFrame } from "./arrow-frame.ts";
import { badRow, decodeUtf8, type ReadCounts, type Reader, type SourceFile, wellFormed } from "./reader.ts";

export const readArrow: Reader = async function* (file, context) {
  const template = compileTemplate(file.text.template);
  const arrow = await import("apache-arrow");
  const handle = await open(file.path, "r");
  let consumed = 0;
  try {
    const isFile = await checkArrowFrame(handle);
    const source = createReadStream(file.path, { highWaterMark: 1 << 18 });
    // A file's footer says where its batches lie, and a stream is read from front to back.
    const reader: RecordBatchReader = isFile
      ? await arrow.RecordBatchReader.from(bounded(handle, file.bytes))
      : await arrow.RecordBatchReader.from(source);
    try {
      await reader.open();
      checkColumns(reader.schema, template.columns, file, arrow.DataType);
      const typeOf = (name: string): DataType => reader.schema.fields.find((field) => field.name === name)!.type;
      const converters = template.columns.map((name) => {
        if (isText(typeOf(name), arrow.DataType)) return textOf(context.counts);
        return toPlain(typeOf(name), arrow.DataType);
      });
      let row = 0;
      for await (const batch of reader as AsyncIterable<RecordBatch>) {
        context.signal.throwIfAborted();
        if (batch.numRows === 0) continue; // without batches the library makes one up, whose columns have no memory
        const columns = template.columns.map((name) => batch.getChild(name)!);
        for (const { data } of columns) for (const part of data) requireSound(part, arrow.DataType);
        const texts = columns.map((column) => bytesOfText(column, arrow));
        for (let index = 0; index < batch.numRows; index++) {
          row++;
          const values: Record<string, unknown> = {};
          for (const [at, name] of template.columns.entries()) values[name] = converters[at]!(texts[at]!.get(index));
          let text: string;
          try {
            text = template.render(values);
          } catch (error) {
            throw badRow(file, row, messageOf(error));
          }
          yield wellFormed(text, context.counts);
        }
        const bytes = Math.min(batch.data.byteLength, file.bytes - consumed);
        context.onRead(bytes);
        consumed += bytes;
      }
    } finally {
      source.destroy();
    }
    context.onRead(file.bytes - consumed);
  } catch (cause) {
    if (cause instanceof UserError || context.signal.aborted || isDiskError(cause)) throw cause;
    throw unreadable(file, cause);
  } finally {
    await handle.close();
  }
};

/**
 * In a damaged file a block can point back to the schema, and the library would follow it for ever. Whoever reads each
 * block once, with its length before it, does not read a file several times over.
 */
function bounded(handle: FileHandle, size: number): FileHandle {
  let left = 4 * size + (1 << 16);
  const read = (buffer: Uint8Array, offset: number, length: number, position: number) => {
    left -= length;
    if (left < 0) throw new Error("its blocks lie in each other");
    return handle.read(buffer, offset, length, position);
  };
  return new Proxy(handle, {
    get(target, name) {
      if (name === "read") return read;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

type Types = typeof import("apache-arrow").DataType;

function checkColumns(schema: Schema, wanted: readonly string[], file: SourceFile, types: Types): void {
  const fields = new Map(schema.fields.map((field) => [field.name, field.type as DataType]));
  const hint = `Its columns are: ${schema.fields.map(({ name, type }) => `${name} (${type})`).join(", ")}. The template is "${file.text.template}".`;
  for (const name of wanted) {
    const type = fields.get(name);
    const problem =
      type === undefined
        ? `has no column "${name}"`
        : isReadable(type, types)
          ? undefined
          : `holds no text in the column "${name}", whose type is ${type}`;
    if (problem === undefined) continue;
    throw new UserError(`${file.label} ${problem}.`, { code: "NO_COLUMN", where: { file: file.label }, hint });
  }
}

/** Text, numbers, truth values, and what is nested of them. Times and binary data have no one spelling as text. */
function isReadable(type: DataType, types: Types): boolean {
  if (types.isDictionary(type)) return isReadable(type.dictionary, types);
  const isText = types.isUtf8(type) || types.isLargeUtf8(type) || types.isUtf8View(type);
  const isNested =
    types.isList(type) ||
    types.isLargeList(type) ||
    types.isFixedSizeList(type) ||
    types.isStruct(type) ||
    types.isMap(type);
  return isText || isNested || types.isInt(type) || types.isFloat(type) || types.isBool(type) || types.isNull(type);
}

type Convert = (value: unknown) => unknown;

function isText(type: DataType, types: Types): boolean {
  return types.isUtf8(type) || types.isLargeUtf8(type);
}

/** A column of text as its UTF-8: the library would drop a U+FEFF at the beginning, and mend invalid bytes uncounted. */
function bytesOfText(column: Vector, arrow: typeof import("apache-arrow")): Vector {
  if (!isText(column.type, arrow.DataType)) return column;
  const type = arrow.DataType.isUtf8(column.type) ? new arrow.Binary() : new arrow.LargeBinary();
  return new arrow.Vector(column.data.map((data) => data.clone(type)));
}

function textOf(counts: ReadCounts): Convert {
  return (value) => {
    if (!(value instanceof Uint8Array)) return value;
    return decodeUtf8(Buffer.from(value.buffer, value.byteOffset, value.byteLength), counts);
  };
}

/** From Arrow's views of nested values to plain objects and lists; whole numbers of 64 bits become their digits. */
function toPlain(type: DataType, types: Types): Convert {
  const nullable =
    (convert: Convert): Convert =>
    (value) =>
      value === null ? null : convert(value);
  if (types.isDictionary(type)) return toPlain(type.dictionary, types);
  if (types.isInt(type)) return (value) => (typeof value === "bigint" ? String(value) : value);
  if (types.isList(type) || types.isLargeList(type) || types.isFixedSizeList(type)) {
    const item = toPlain(type.children[0]!.type, types);
    return nullable((value) => Array.from(value as Iterable<unknown>, item));
  }
  if (types.isStruct(type)) {
    const members = type.children.map(({ name, type: inner }) => [name, toPlain(inner, types)] as const);
    return nullable((value) => {
      const row = (value as { toJSON(): Record<string, unknown> }).toJSON();
      return Object.fromEntries(members.map(([name, convert]) => [name, convert(row[name])]));
    });
  }
  if (types.isMap(type)) return nullable((value) => (value as { toJSON(): unknown }).toJSON());
  return (value) => value;
}

function isDiskError(error: unknown): boolean {
  return ["ENOENT", "EACCES", "EIO", "EMFILE"].includes(systemErrorCode(error) ?? "");
}

function unreadable(file: SourceFile, cause: unknown): UserError {
  const problem = messageOf(cause).split("\n")[0]!;
  if (/compressed|codec/i.test(problem)) {
    return new UserError(`${file.label} is an Arrow file with compressed buffers (LZ4 or Zstandard).`, {
      code: "ARROW_COMPRESSED",
      where: { file: file.label },
      hint: "Write it without compression (Hugging Face datasets does) or as Parquet, whose compression is read: dataset.to_parquet(...).",
      cause,
      exitCode: 1,
    });
  }
  return new UserError(`${file.label} cannot be read as Arrow: ${problem}.`, {
    code: "BAD_ARROW",
    where: { file: file.label },
    hint: "Write the file again; if that does not help, save the data set as Parquet.",
    cause,
    exitCode: 1,
  });
}
