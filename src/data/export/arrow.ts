// Writes a table as an Arrow IPC file (Feather 2), a record batch at a time.

import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import type { Data, DataType, RecordBatchFileWriter } from "apache-arrow";
import type { ExportBatch, ExportColumn, ExportType, ExportValue, TableWriter } from "./table.ts";

type Arrow = typeof import("apache-arrow");

/** Bytes go to `<file>.partial` until the table is whole. */
export async function openArrowWriter(file: string, columns: readonly ExportColumn[]): Promise<TableWriter> {
  const arrow = await import("apache-arrow");
  const partial = `${file}.partial`;
  const descriptor = openSync(partial, "w");
  const writer = writerTo(arrow, descriptor);
  const fields = columns.map(({ name, type }) => new arrow.Field(name, typeFor(arrow, type), true));
  const schema = new arrow.Schema(fields);
  const batchOf = ({ rows, values }: ExportBatch) => {
    const children = columns.map(({ type }, index) => dataFor(arrow, type, values[index]!));
    const data = arrow.makeData({ type: new arrow.Struct(fields), length: rows, nullCount: 0, children });
    return new arrow.RecordBatch(schema, data);
  };
  let isEmpty = true;
  let isOpen = true;
  const close = () => {
    if (isOpen) closeSync(descriptor);
    isOpen = false;
  };
  return {
    write(batch) {
      isEmpty = false;
      writer.write(batchOf(batch));
    },
    async finish() {
      if (isEmpty) writer.write(batchOf({ rows: 0, values: columns.map(() => []) })); // else it has no schema
      writer.close();
      close();
      renameSync(partial, file);
    },
    abort() {
      close();
      rmSync(partial, { force: true });
    },
  };
}

/** The library's writer queues all bytes until somebody reads them; this one puts each piece on the disk at once. */
function writerTo(arrow: Arrow, descriptor: number): RecordBatchFileWriter {
  class DiskWriter extends arrow.RecordBatchFileWriter {
    protected override _write(chunk: ArrayBufferView): this {
      if (!this._started) return this;
      const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      this._position += bytes.length;
      return this;
    }
  }
  return new DiskWriter();
}

function typeFor(arrow: Arrow, type: ExportType): DataType {
  const list = (item: DataType) => new arrow.List(new arrow.Field("item", item, true));
  switch (type) {
    case "text":
      return new arrow.Utf8();
    case "bool":
      return new arrow.Bool();
    case "int":
      return new arrow.Int32();
    case "long":
      return new arrow.Int64();
    case "double":
      return new arrow.Float64();
    case "int[]":
      return list(new arrow.Int32());
    case "double[]":
      return list(new arrow.Float64());
    case "text[]":
      return list(new arrow.Utf8());
  }
}

function dataFor(arrow: Arrow, type: ExportType, values: readonly ExportValue[]): Data {
  // The two that shards are made of, without a call for each token.
  if (type === "text" && values.every((value) => typeof value === "string")) return textData(arrow, values);
  if (type === "int[]" && values.every((value) => value instanceof Int32Array)) return idsData(arrow, values);
  return arrow.vectorFromArray(values as unknown[], typeFor(arrow, type)).data[0]!;
}

function textData(arrow: Arrow, texts: readonly string[]): Data {
  const pieces = texts.map((text) => Buffer.from(text, "utf8"));
  return arrow.makeData({
    type: new arrow.Utf8(),
    length: texts.length,
    nullCount: 0,
    valueOffsets: offsetsOf(pieces),
    data: Buffer.concat(pieces),
  });
}

function idsData(arrow: Arrow, lists: readonly Int32Array[]): Data {
  const valueOffsets = offsetsOf(lists);
  const ids = new Int32Array(valueOffsets.at(-1)!);
  for (const [index, list] of lists.entries()) ids.set(list, valueOffsets[index]!);
  const item = arrow.makeData({ type: new arrow.Int32(), length: ids.length, nullCount: 0, data: ids });
  const type = new arrow.List(new arrow.Field("item", new arrow.Int32(), true));
  return arrow.makeData({ type, length: lists.length, nullCount: 0, valueOffsets, child: item });
}

function offsetsOf(pieces: readonly { readonly length: number }[]): Int32Array {
  const offsets = new Int32Array(pieces.length + 1);
  for (const [index, { length }] of pieces.entries()) offsets[index + 1] = offsets[index]! + length;
  return offsets;
}
