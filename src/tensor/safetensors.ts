// Files of named tensors: 8 bytes of header length, a JSON header, raw little-endian values
// (https://github.com/huggingface/safetensors, "Format"). Float32 only; the same tensors always give the same bytes.

import { createHash } from "node:crypto";
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { z } from "zod";
import { canonicalJson } from "../util/canonical-json.ts";
import type { Digest } from "../util/digest.ts";
import { messageOf, UserError } from "../util/errors.ts";
import { elementCount, type Shape } from "./shape.ts";

/** A tensor to write: its values are asked for when their turn comes, so that only one need be in memory. */
export interface TensorSource {
  readonly name: string;
  readonly shape: Shape;
  read(): Float32Array;
}

export interface SafetensorsFile {
  readonly metadata: Readonly<Record<string, string>>;
  /** By name, in the order of the header. */
  readonly tensors: ReadonlyMap<string, TensorSource>;
}

const HEADER_LENGTH_BYTES = 8;
const MAX_HEADER_BYTES = 100_000_000; // the limit of the reference implementation
const FLOAT_BYTES = 4;
const ALIGNMENT = 8;

/**
 * Write all tensors in the given order and flush them to disk; returns digest and size. Throws the system's error,
 * and a RangeError when a tensor's values do not fill its shape.
 */
export function writeSafetensors(
  path: string,
  tensors: readonly TensorSource[],
  metadata: Readonly<Record<string, string>> = {},
): { readonly digest: Digest; readonly bytes: number } {
  const file = openSync(path, "w");
  const hash = createHash("sha256");
  let bytes = 0;
  const append = (chunk: Uint8Array) => {
    for (let done = 0; done < chunk.length; )
      done += writeSync(file, chunk, done, Math.min(chunk.length - done, 1 << 26));
    hash.update(chunk);
    bytes += chunk.length;
  };
  try {
    append(encodeHeader(tensors, metadata));
    for (const { name, shape, read } of tensors) {
      const values = read();
      if (values.length !== elementCount(shape)) throw new RangeError(`${name} has ${values.length} values`);
      append(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return { digest: `sha256:${hash.digest("hex")}`, bytes };
}

function encodeHeader(tensors: readonly TensorSource[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const { name, shape } of tensors) {
    const end = offset + elementCount(shape) * FLOAT_BYTES;
    header[name] = { dtype: "F32", shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = Buffer.from(canonicalJson(header));
  const length = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT; // spaces align the values
  const bytes = Buffer.alloc(HEADER_LENGTH_BYTES + length, " ");
  bytes.writeBigUInt64LE(BigInt(length));
  json.copy(bytes, HEADER_LENGTH_BYTES);
  return bytes;
}

const headerSchema = z.record(z.string(), z.unknown());
const metadataSchema = z.record(z.string(), z.string());
const entrySchema = z.object({
  dtype: z.literal("F32", { error: "is not F32" }),
  shape: z.array(z.int().min(0)),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});

/**
 * Open a file and check its header against its size; values are read when asked for. Throws a UserError
 * BAD_SAFETENSORS that says what is wrong, and the system's error when there is no such file.
 */
export function readSafetensors(path: string): SafetensorsFile {
  const file = openSync(path, "r");
  try {
    const size = fstatSync(file).size;
    if (size < HEADER_LENGTH_BYTES) throw damaged(path, `it has ${size} bytes, too few for a header`);
    const headerLength = Number(readBytes(file, 0, HEADER_LENGTH_BYTES, path).readBigUInt64LE());
    const start = HEADER_LENGTH_BYTES + headerLength;
    if (headerLength > MAX_HEADER_BYTES || start > size) {
      throw damaged(path, `its header should have ${headerLength} bytes and the whole file has ${size}`);
    }
    const { __metadata__: metadata, ...entries } = parseHeader(
      readBytes(file, HEADER_LENGTH_BYTES, headerLength, path),
      path,
    );
    const tensors = new Map<string, TensorSource>();
    let used = 0;
    for (const [name, entry] of Object.entries(entries)) {
      const { shape, begin, end } = parseEntry(entry, name, path);
      if (start + end > size)
        throw damaged(path, `tensor ${name} ends at byte ${start + end}, beyond the file's ${size}`);
      used += end - begin;
      tensors.set(name, { name, shape, read: () => readTensor(path, start + begin, end - begin) });
    }
    if (start + used !== size) throw damaged(path, `its tensors have ${used} bytes and it holds ${size - start}`);
    return { metadata: metadata === undefined ? {} : parseMetadata(metadata, path), tensors };
  } finally {
    closeSync(file);
  }
}

function parseHeader(bytes: Buffer, path: string): Record<string, unknown> {
  try {
    return headerSchema.parse(JSON.parse(bytes.toString("utf8")));
  } catch (error) {
    throw damaged(path, `its header is not a JSON object (${messageOf(error)})`);
  }
}

function parseMetadata(metadata: unknown, path: string): Record<string, string> {
  const parsed = metadataSchema.safeParse(metadata);
  if (!parsed.success) throw damaged(path, "its metadata is not a map of strings");
  return parsed.data;
}

function parseEntry(entry: unknown, name: string, path: string): { shape: number[]; begin: number; end: number } {
  const parsed = entrySchema.safeParse(entry);
  if (!parsed.success) throw damaged(path, `tensor ${name}: ${parsed.error.issues[0]!.message}`);
  const { shape } = parsed.data;
  const [begin, end] = parsed.data.data_offsets;
  if (end - begin !== elementCount(shape) * FLOAT_BYTES) {
    throw damaged(path, `tensor ${name} of shape (${shape.join(", ")}) has ${end - begin} bytes`);
  }
  return { shape, begin, end };
}

function readTensor(path: string, position: number, bytes: number): Float32Array {
  const file = openSync(path, "r");
  try {
    const data = readBytes(file, position, bytes, path);
    return new Float32Array(data.buffer, data.byteOffset, bytes / FLOAT_BYTES);
  } finally {
    closeSync(file);
  }
}

/** Exactly `length` bytes, in memory of their own so that they are aligned. */
function readBytes(file: number, position: number, length: number, path: string): Buffer {
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let done = 0; done < length; ) {
    const count = readSync(file, bytes, done, Math.min(length - done, 1 << 26), position + done);
    if (count === 0) throw damaged(path, "it became shorter while it was read");
    done += count;
  }
  return bytes;
}

function damaged(path: string, what: string): UserError {
  return new UserError(`${path} is not a usable safetensors file: ${what}`, {
    code: "BAD_SAFETENSORS",
    where: { file: path },
    hint: "Make the file again: run the stage that wrote it, or `stlm-pipeline audit` to find damaged objects.",
  });
}
