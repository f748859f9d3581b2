// Looks over the messages of an Arrow file before the library reads them: it believes every count and length in them, so
// that one damaged byte could keep it busy for minutes and fill the memory. Nothing here looks at the data itself.
// Layout: https://arrow.apache.org/docs/format/Columnar.html, "Serialization and IPC"; format/Message.fbs, Schema.fbs, File.fbs.

import type { FileHandle } from "node:fs/promises";

/** A file begins and ends with it; a stream has none. */
const MAGIC = "ARROW1";
const CONTINUATION = 0xffff_ffff;
const BLOCK_BYTES = 24;
/** Of a field node (length, nulls) and of a buffer (offset, length). */
const PAIR_BYTES = 16;

/** Places of members in their tables, as the schemas of the format number them. */
const MESSAGE = { headerType: 1, header: 2, bodyLength: 3 };
const SCHEMA = { fields: 1, metadata: 2 };
const FIELD = { children: 5, metadata: 6 };
const RECORD_BATCH = { length: 0, nodes: 1, buffers: 2 };
const DICTIONARY_BATCH = { data: 1 };
const FOOTER = { schema: 1, dictionaries: 2, recordBatches: 3, metadata: 4 };
const HEADER_TYPES = { schema: 1, dictionaryBatch: 2, recordBatch: 3 };

/** Whether the file is of the file format, whose footer says where everything lies. Throws an Error for damaged ones. */
export async function checkArrowFrame(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  const isFile = (await readAt(handle, 0, Math.min(size, MAGIC.length))).toString("latin1") === MAGIC;
  if (isFile) await checkFile(handle, size);
  else await checkStream(handle, size);
  return isFile;
}

async function checkFile(handle: FileHandle, size: number): Promise<void> {
  const tail = size < 18 ? Buffer.alloc(0) : await readAt(handle, size - 10, 10);
  const length = tail.length < 10 ? 0 : tail.readInt32LE(0);
  if (tail.toString("latin1", 4) !== MAGIC || length <= 0 || length > size - 18)
    throw new Error("it does not end as an Arrow file does, so it may be cut short");
  const footer = FlatTable.root(await readAt(handle, size - 10 - length, length));
  checkSchema(footer.table(FOOTER.schema));
  checkPairs(footer, FOOTER.metadata);
  for (const member of [FOOTER.dictionaries, FOOTER.recordBatches]) {
    for (const block of footer.vector(member, BLOCK_BYTES)) await checkMessage(handle, footer.long(block), size);
  }
}

/** A stream that was cut between two batches reads like a shorter one: only its end mark tells. */
async function checkStream(handle: FileHandle, size: number): Promise<void> {
  let at = 0;
  while (at < size) {
    const end = await checkMessage(handle, at, size);
    if (end === undefined) return;
    at = end;
  }
  throw new Error("it lacks the end mark of a stream, so it may be cut short");
}

/** Where the message at a position ends with its body; undefined for the end mark, which must be the last of the file. */
async function checkMessage(handle: FileHandle, at: number, size: number): Promise<number | undefined> {
  const start = await readAt(handle, at, Math.min(8, Math.max(0, size - at)));
  const isLong = start.readUInt32LE(0) === CONTINUATION; // older writers leave it out
  const length = start.readInt32LE(isLong ? 4 : 0);
  const metadataAt = at + (isLong ? 8 : 4);
  if (length === 0 && metadataAt === size) return undefined;
  if (length === 0) throw new Error(`its end mark stands at byte ${at}, and more follows`);
  if (length < 0 || metadataAt + length > size) throw new Error(`the message at byte ${at} is longer than the file`);
  const message = FlatTable.root(await readAt(handle, metadataAt, length));
  const body = message.member(MESSAGE.bodyLength) === 0 ? 0 : message.long(message.member(MESSAGE.bodyLength));
  const end = metadataAt + length + body;
  if (body < 0 || end > size) throw new Error(`the data of the message at byte ${at} are longer than the file`);
  const headerAt = message.member(MESSAGE.headerType);
  const type = headerAt === 0 ? 0 : message.bytes.readUInt8(headerAt);
  const header = message.table(MESSAGE.header);
  if (type === HEADER_TYPES.schema) checkSchema(header);
  if (type === HEADER_TYPES.recordBatch) checkBatch(header, body);
  if (type === HEADER_TYPES.dictionaryBatch) checkBatch(header?.table(DICTIONARY_BATCH.data), body);
  return end;
}

function checkSchema(schema: FlatTable | undefined): void {
  if (schema === undefined) throw new Error("it has no schema");
  checkPairs(schema, SCHEMA.metadata);
  // Each field has bytes of its own; in a damaged schema many places may name the same, and itself.
  let left = schema.bytes.length / 4;
  const waiting = [...schema.tables(SCHEMA.fields)];
  for (let field = waiting.pop(); field !== undefined; field = waiting.pop()) {
    if (--left < 0) throw new Error("its schema has more columns than it has room for");
    checkPairs(field, FIELD.metadata);
    waiting.push(...field.tables(FIELD.children));
  }
}

/** Names with values. */
function checkPairs(table: FlatTable, member: number): void {
  for (const _ of table.tables(member)); // the vector's count is checked as it is walked
}

function checkBatch(batch: FlatTable | undefined, body: number): void {
  if (batch === undefined) throw new Error("a message has no batch");
  // A row has a bit at least, in one column or another.
  const lengthAt = batch.member(RECORD_BATCH.length);
  const rows = lengthAt === 0 ? 0 : batch.long(lengthAt);
  const nodes = batch.vector(RECORD_BATCH.nodes, PAIR_BYTES).map((node) => batch.long(node));
  for (const length of [rows, ...nodes]) {
    if (length < 0 || length > 8 * body) throw new Error("a batch says it has more rows than its data have room for");
  }
  for (const buffer of batch.vector(RECORD_BATCH.buffers, PAIR_BYTES)) {
    const [offset, length] = [batch.long(buffer), batch.long(buffer + 8)];
    if (offset < 0 || length < 0 || offset + length > body) throw new Error("a column lies outside of its batch");
  }
}

/** A table of a flatbuffer (https://flatbuffers.dev/internals). What points out of its bytes throws a RangeError. */
class FlatTable {
  private readonly members: number;

  private constructor(
    readonly bytes: Buffer,
    private readonly at: number,
  ) {
    this.members = at - bytes.readInt32LE(at);
  }

  static root(bytes: Buffer): FlatTable {
    return new FlatTable(bytes, bytes.readUInt32LE(0));
  }

  /** Where a member lies, or 0 where it is left out. */
  member(index: number): number {
    const place = 4 + 2 * index;
    if (place >= this.bytes.readUInt16LE(this.members)) return 0;
    const offset = this.bytes.readUInt16LE(this.members + place);
    return offset === 0 ? 0 : this.at + offset;
  }

  /** A whole number of 64 bits; one too large for a double is larger than any file. */
  long(at: number): number {
    return Number(this.bytes.readBigInt64LE(at));
  }

  table(index: number): FlatTable | undefined {
    const place = this.member(index);
    return place === 0 ? undefined : this.tableAt(place);
  }

  /** Positions of a vector's elements. */
  vector(index: number, elementBytes: number): number[] {
    const place = this.member(index);
    if (place === 0) return [];
    const from = place + this.bytes.readUInt32LE(place);
    const count = this.bytes.readUInt32LE(from);
    if (from + 4 + count * elementBytes > this.bytes.length) throw new Error("it lists more than it has room for");
    return Array.from({ length: count }, (_, element) => from + 4 + element * elementBytes);
  }

  tables(index: number): FlatTable[] {
    return this.vector(index, 4).map((place) => this.tableAt(place));
  }

  private tableAt(place: number): FlatTable {
    return new FlatTable(this.bytes, place + this.bytes.readUInt32LE(place));
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  if (position < 0) throw new Error("it points before its beginning");
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
