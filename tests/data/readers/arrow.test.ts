import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import {
  Binary,
  Bool,
  CompressionType,
  compressionRegistry,
  Dictionary,
  Field,
  Int32,
  Int64,
  LargeUtf8,
  List,
  makeBuilder,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  Struct,
  Table,
  TimestampMillisecond,
  tableToIPC,
  Utf8,
  type Vector,
  vectorFromArray,
} from "apache-arrow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readDocuments } from "../../../src/data/documents.ts";
import { readArrow } from "../../../src/data/readers/arrow.ts";
import download from "../../../stages/download.ts";
import { runStage, temporaryFolder } from "../../rigs/stage-rig.ts";

type Kind = "stream" | "file";

/** A table of several record batches, as writers leave them. */
function tableOf(columns: Record<string, Vector>, rowsPerBatch = 1000): Table {
  const whole = new Table(columns);
  const parts: Table[] = [];
  for (let from = 0; from < whole.numRows; from += rowsPerBatch) parts.push(whole.slice(from, from + rowsPerBatch));
  return new Table(
    whole.schema,
    parts.flatMap((part) => part.batches),
  );
}

const strings = (values: readonly (string | null)[]) => vectorFromArray(values, new Utf8());

async function textsOf(bytes: Uint8Array, template = "{text}", counts = { empty: 0, replaced: 0 }): Promise<string[]> {
  const file = path.join(temporaryFolder("arrow"), "a.arrow");
  writeFileSync(file, bytes);
  let read = 0;
  const onRead = (count: number) => {
    read += count;
  };
  const context = { signal: new AbortController().signal, counts, onRead };
  const texts: string[] = [];
  const source = { path: file, label: "a.arrow", bytes: bytes.length, text: { template } };
  for await (const text of readArrow(source, context)) texts.push(text);
  expect(read).toBe(bytes.length);
  return texts;
}

describe.each<Kind>(["stream", "file"])("an Arrow %s", (kind) => {
  test("gives the same documents whatever its batches and its kind of string column", async () => {
    const kinds = [new Utf8(), new LargeUtf8(), new Dictionary(new Utf8(), new Int32())] as const;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: "grapheme" }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom(...kinds),
        async (texts, rowsPerBatch, type) => {
          const builder = makeBuilder({ type, nullValues: [null] });
          for (const text of texts) builder.append(text);
          const table = tableOf({ text: builder.finish().toVector() }, rowsPerBatch);
          expect(await textsOf(tableToIPC(table, kind))).toEqual(texts.map((text) => text.toWellFormed()));
        },
      ),
      { numRuns: 30 },
    );
  });

  test("gives numbers, truth values and nested columns", async () => {
    const turn = new Struct([new Field("from", new Utf8()), new Field("value", new Utf8())]);
    const talks = [
      [
        { from: "human", value: 'Why "é"?' },
        { from: "gpt", value: "So\n🙂" },
      ],
    ];
    const bytes = tableToIPC(
      new Table({
        conversations: vectorFromArray(talks, new List(new Field("item", turn))),
        id: vectorFromArray([9_007_199_254_740_993n], new Int64()),
        good: vectorFromArray([true], new Bool()),
      }),
      kind,
    );
    expect(await textsOf(bytes, "{id} {good} {conversations.0.value} {conversations.1.value}")).toEqual([
      '9007199254740993 true Why "é"? So\n🙂',
    ]);
  });

  test("without rows has no documents, whatever its columns", async () => {
    const type = new List(new Field("item", new Struct([new Field("value", new Utf8())])));
    const table = new Table({
      text: strings([]),
      talk: vectorFromArray([], type),
      id: vectorFromArray([], new Int64()),
    });
    expect(await textsOf(tableToIPC(table, kind), "{text}{talk.0.value}")).toEqual([]);
    const writer = kind === "stream" ? new RecordBatchStreamWriter() : new RecordBatchFileWriter();
    writer.reset(undefined, table.schema);
    writer.finish();
    expect(await textsOf(await writer.toUint8Array(), "{text}")).toEqual([]);
  });

  test("names a missing column, one without text, and the row that is null", async () => {
    const bytes = tableToIPC(
      tableOf(
        {
          text: strings(["a", "b", null]),
          when: vectorFromArray([new Date(0), new Date(1), new Date(2)], new TimestampMillisecond()),
          raw: vectorFromArray([Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)], new Binary()),
        },
        2,
      ),
      kind,
    );
    await expect(textsOf(bytes, "{story}")).rejects.toMatchObject({
      code: "NO_COLUMN",
      hint: expect.stringContaining("Its columns are: text (Utf8), when"),
    });
    await expect(textsOf(bytes, "{when}")).rejects.toThrow('holds no text in the column "when"');
    await expect(textsOf(bytes, "{raw}")).rejects.toThrow('holds no text in the column "raw"');
    await expect(textsOf(bytes)).rejects.toThrow("a.arrow:3 cannot be read: {text} is null");
  });

  test("that is cut short anywhere is refused, never read as a shorter one", async () => {
    const bytes = tableToIPC(
      tableOf({ text: strings(Array.from({ length: 40 }, (_, row) => `story ${row}`)) }, 10),
      kind,
    );
    for (let length = 0; length < bytes.length; length += 61) {
      await expect(textsOf(bytes.subarray(0, length)), `${length} bytes`).rejects.toMatchObject({ code: "BAD_ARROW" });
    }
    await expect(textsOf(bytes.subarray(0, bytes.length - 8))).rejects.toMatchObject({ code: "BAD_ARROW" });
  });
});

test.each<Kind>(["stream", "file"])(
  "a %s with damaged bytes is read or refused, and is no longer than it was",
  async (kind) => {
    const rows = 20;
    const texts = Array.from({ length: rows }, (_, row) => `story ${row}`);
    const word = new Struct([new Field("word", new Utf8())]);
    const columns = {
      text: strings(texts),
      long: vectorFromArray(texts, new LargeUtf8()),
      kind: vectorFromArray(texts, new Dictionary(new Utf8(), new Int32())),
      words: vectorFromArray(
        texts.map((text) => [{ word: text }]),
        new List(new Field("item", word)),
      ),
    };
    const bytes = tableToIPC(new Table(columns), kind);
    const template = "{text} {long} {kind} {words.0.word}";
    const place = fc.tuple(fc.nat(bytes.length - 1), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)));
    await fc.assert(
      fc.asyncProperty(fc.array(place, { minLength: 1, maxLength: 3 }), async (places) => {
        const damaged = Uint8Array.from(bytes);
        for (const [at, value] of places) damaged[at] = value;
        const read = await textsOf(damaged, template).catch((error: unknown) => error);
        if (Array.isArray(read)) expect(read.join("").length).toBeLessThan(4 * bytes.length);
        else expect(read).toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/), exitCode: expect.any(Number) });
      }),
      { numRuns: 150, seed: 11 },
    );
  },
);

/** Sets a number of 32 bits where the footer's table has a vector's count, `member` by its place in File.fbs. */
function withCount(bytes: Buffer, member: number, count: number): Buffer {
  const from = bytes.length - 10 - bytes.readInt32LE(bytes.length - 10);
  const footer = bytes.subarray(from);
  const table = footer.readUInt32LE(0);
  const place = table + footer.readUInt16LE(table - footer.readInt32LE(table) + 4 + 2 * member);
  footer.writeUInt32LE(count, place + footer.readUInt32LE(place));
  return bytes;
}

test("counts, lengths and offsets beyond the file are refused before anything is read by them", async () => {
  const file = () => Buffer.from(tableToIPC(tableOf({ text: strings(["a", "b"]) }), "file"));
  const stream = () => Buffer.from(tableToIPC(tableOf({ text: strings(["a", "b"]) }), "stream"));
  const refused = (bytes: Buffer, message: string) => expect(textsOf(bytes)).rejects.toThrow(message);
  await refused(withCount(file(), 3, 0x7fff_ffff), "it lists more than it has room for");
  const long = stream();
  long.writeInt32LE(0x7fff_fff0, 4);
  await refused(long, "the message at byte 0 is longer than the file");
  await refused(Buffer.concat([stream(), stream()]), "and more follows");

  const falling = stream();
  const offsets = falling.lastIndexOf(Buffer.from("000000000100000002000000", "hex"));
  falling.writeInt32LE(0x7fff_ffff, offsets + 8);
  await refused(falling, "a column has fewer values than rows");
  falling.writeInt32LE(-5, offsets + 4);
  await refused(falling, "a column's offsets fall");
});

test("bytes that are no Arrow are refused", async () => {
  await expect(textsOf(Buffer.from("PAR1 this is something else"))).rejects.toMatchObject({ code: "BAD_ARROW" });
});

test("compressed buffers are refused with what to do instead", async () => {
  const compressionType = CompressionType.LZ4_FRAME;
  const lz4Frame = (data: Uint8Array) => Buffer.concat([Buffer.from("04224d18644082", "hex"), data]);
  compressionRegistry.set(compressionType, { encode: lz4Frame });
  const writer = new RecordBatchStreamWriter({ compressionType });
  writer.write(new Table({ text: strings(["a", "b"]) }));
  writer.finish();
  const bytes = writer.toUint8Array(true);
  Reflect.deleteProperty((compressionRegistry as unknown as { registry: object }).registry, compressionType);
  await expect(textsOf(bytes)).rejects.toMatchObject({
    code: "ARROW_COMPRESSED",
    hint: expect.stringContaining("to_parquet"),
  });
});

test.each([new Utf8(), new LargeUtf8()])(
  "%s keeps a U+FEFF at its beginning, and invalid UTF-8 is counted",
  async (type) => {
    const bytes = tableToIPC(new Table({ text: vectorFromArray(["\uFEFFa", "née", "b"], type) }), "stream");
    expect(await textsOf(bytes)).toEqual(["\uFEFFa", "née", "b"]);
    const at = Buffer.from(bytes).indexOf("née");
    bytes[at + 1] = 0xff;
    const counts = { empty: 0, replaced: 0 };
    expect(await textsOf(bytes, "{text}", counts)).toEqual(["\uFEFFa", "n\uFFFD\uFFFDe", "b"]);
    expect(counts).toEqual({ empty: 0, replaced: 1 });
  },
);

describe("a folder that Hugging Face datasets saved", () => {
  /** The layout of DatasetDict.save_to_disk(), with a cache of map() left beside it. */
  function saved(): string {
    const root = temporaryFolder("lab");
    const write = (name: string, content: string | Uint8Array) => {
      mkdirSync(path.dirname(path.join(root, "saved", name)), { recursive: true });
      writeFileSync(path.join(root, "saved", name), content);
    };
    const shard = (...texts: string[]) => tableToIPC(tableOf({ id: strings(texts), text: strings(texts) }), "stream");
    write("dataset_dict.json", '{"splits": ["train"]}');
    write("train/data-00001-of-00003.arrow", shard("three"));
    write("train/data-00000-of-00003.arrow", shard("one", "two"));
    write("train/data-00002-of-00003.arrow", tableToIPC(tableOf({ text: strings(["four"]) }), "file"));
    write("train/state.json", '{"_data_files": []}');
    write("train/dataset_info.json", '{"features": {}}');
    write("train/cache-1b2c3d4e.arrow", shard("ONE", "TWO", "THREE"));
    return root;
  }

  test("is a data set by one line, in the order of its shards, without what is no data", async () => {
    const { outputs, log } = await runStage(download, { params: { dataset: { path: "saved" } }, root: saved() });
    const texts: string[] = [];
    for await (const { text } of readDocuments(outputs.dataset, { signal: new AbortController().signal })) {
      texts.push(text);
    }
    expect(texts).toEqual(["one", "two", "three", "four"]);
    expect(log).toContain(
      "warn: saved/train/cache-1b2c3d4e.arrow is a cache of Hugging Face datasets and is not read.",
    );
    expect(log.filter((line) => line.startsWith("warn:"))).toHaveLength(1);
  });

  test("keeps its JSON files out only beside Arrow files", async () => {
    const root = temporaryFolder("lab");
    mkdirSync(path.join(root, "texts"));
    writeFileSync(path.join(root, "texts/state.json"), '[{"text": "a state"}]');
    const { outputs } = await runStage(download, { params: { dataset: { path: "texts" } }, root });
    const texts: string[] = [];
    for await (const { text } of readDocuments(outputs.dataset, { signal: new AbortController().signal })) {
      texts.push(text);
    }
    expect(texts).toEqual(["a state"]);
  });
});
