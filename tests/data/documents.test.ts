import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { describe, expect, test } from "vitest";
import type { FileFormat, TextRule } from "../../src/data/datasets/dataset.ts";
import { type ReadDocumentsOptions, readDocuments } from "../../src/data/documents.ts";
import { digestBytes } from "../../src/util/digest.ts";
import { temporaryFolder } from "../rigs/stage-rig.ts";

interface TestFile {
  readonly path: string;
  readonly format: FileFormat;
  readonly content: string | Buffer;
}

function datasetWith(files: readonly TestFile[], text: TextRule = { template: "{text}" }, name = "dataset"): string {
  const folder = temporaryFolder(name);
  mkdirSync(path.join(folder, "files"));
  for (const file of files) writeFileSync(path.join(folder, "files", file.path), file.content);
  const entries = files.map(({ path: file, format, content }) => ({
    path: file,
    format,
    bytes: Buffer.byteLength(content),
    sha256: digestBytes(content),
  }));
  const manifest = { name: "test", kind: "text", license: "MIT", homepage: "", files: entries, text };
  writeFileSync(path.join(folder, "dataset.json"), JSON.stringify(manifest));
  return folder;
}

async function textsOf(folder: string, options: Partial<ReadDocumentsOptions> = {}): Promise<string[]> {
  const texts: string[] = [];
  const signal = new AbortController().signal;
  for await (const document of readDocuments(folder, { signal, ...options })) {
    expect(document.utf8.toString()).toBe(document.text);
    expect(`sha256:${document.hash.toString("hex")}`).toBe(digestBytes(document.text));
    texts.push(document.text);
  }
  return texts;
}

describe("JSON lines", () => {
  const lines = '{"text":"one"}\r\n\n{"text":"two\\nlines"}\n{"text":""}\n{"text":"three é"}';

  test("give a document a row; blank lines are nothing, empty documents are counted", async () => {
    const counts = { empty: 0, replaced: 0 };
    const folder = datasetWith([
      { path: "a.jsonl", format: "jsonl", content: lines },
      { path: "b.jsonl.gz", format: "jsonl.gz", content: gzipSync(`\uFEFF${lines}`) },
    ]);
    const once = ["one", "two\nlines", "three é"];
    expect(await textsOf(folder, { counts })).toEqual([...once, ...once]);
    expect(counts).toEqual({ empty: 2, replaced: 0 });
  });

  test.each([
    ['{"text":"ok"}\n{"text":', /^a\.jsonl:2 cannot be read: .*JSON/],
    ['{"text":"ok"}\n\n{"txet":"no"}\n', /^a\.jsonl:3 cannot be read: there is no \{text\}: the row has txet/],
    ['{"text":["no"]}', /^a\.jsonl:1 cannot be read: \{text\} is not text/],
  ])("name the file and line of a bad row: %j", async (content, message) => {
    const folder = datasetWith([{ path: "a.jsonl", format: "jsonl", content }]);
    await expect(textsOf(folder)).rejects.toMatchObject({
      code: "BAD_DOCUMENT",
      message: expect.stringMatching(message),
    });
  });

  test("have invalid UTF-8 and half surrogates replaced and counted", async () => {
    const counts = { empty: 0, replaced: 0 };
    const content = Buffer.concat([
      Buffer.from('{"text":"a'),
      Buffer.from([0xff]),
      Buffer.from('"}\n{"text":"\\ud800b"}\n'),
    ]);
    const folder = datasetWith([{ path: "a.jsonl", format: "jsonl", content }]);
    expect(await textsOf(folder, { counts })).toEqual(["a\uFFFD", "\uFFFDb"]);
    expect(counts.replaced).toBe(2);
  });

  test("say when the gzip data is cut short or damaged", async () => {
    const whole = gzipSync(`${lines}\n`.repeat(1000));
    const folder = datasetWith([{ path: "a.jsonl.gz", format: "jsonl.gz", content: whole.subarray(0, -20) }]);
    await expect(textsOf(folder)).rejects.toMatchObject({
      code: "BAD_GZIP",
      message: expect.stringContaining("a.jsonl.gz"),
    });
  });
});

test("a JSON array gives a document an object, and says where it is cut short", async () => {
  const rows = [{ text: 'a "}' }, { text: "b" }];
  const whole = datasetWith([{ path: "a.json", format: "json", content: JSON.stringify(rows, null, 2) }]);
  expect(await textsOf(whole)).toEqual(['a "}', "b"]);
  const short = datasetWith([{ path: "a.json", format: "json", content: JSON.stringify(rows).slice(0, -4) }]);
  await expect(textsOf(short)).rejects.toThrow("a.json:2 cannot be read: the JSON array ends in the middle");
});

test("a JSON array that holds something else than objects is refused, and an empty one is empty", async () => {
  const array = (content: string) => datasetWith([{ path: "a.json", format: "json", content }]);
  for (const content of ['[{"text":"a"}, "b", {"text":"c"}]', '[{"text":"a"}, 5]']) {
    await expect(textsOf(array(content))).rejects.toThrow("a.json:2 cannot be read: an item of its array is no object");
  }
  for (const content of ["[]", " [ ]\n", ""]) expect(await textsOf(array(content))).toEqual([]);
  expect(await textsOf(array('\uFEFF[{"text":"a"}]\n'))).toEqual(["a"]);
});

describe("text files", () => {
  const content = "\uFEFFOne\ntwo\n<|endoftext|>\n\nThree\r\n<|endoftext|>\n";

  test("are one document each", async () => {
    const folder = datasetWith([
      { path: "b.txt", format: "txt", content },
      { path: "a.txt.gz", format: "txt.gz", content: gzipSync("zipped") },
    ]);
    expect(await textsOf(folder)).toEqual([content.slice(1), "zipped"]);
  });

  test("are cut at a separator, without the newlines around it", async () => {
    const rule = { template: "{text}", separator: "<|endoftext|>" };
    const counts = { empty: 0, replaced: 0 };
    expect(await textsOf(datasetWith([{ path: "a.txt", format: "txt", content }], rule), { counts })).toEqual([
      "One\ntwo",
      "Three",
    ]);
    expect(counts.empty).toBe(1);
    const spaced = [{ path: "a.txt", format: "txt", content: "\n  one \r\n<|endoftext|>\t two" }] as const;
    expect(await textsOf(datasetWith(spaced, rule))).toEqual(["  one ", "\t two"]);
  });

  test("have no other columns", async () => {
    const files = [{ path: "a.txt", format: "txt", content }] as const;
    for (const rule of [{ template: "{title}" }, { template: "{text.0}" }, { template: "{text}", score: "grade" }]) {
      const about = { code: "BAD_DOCUMENT", hint: "A text file has {text} alone: correct its template and score." };
      await expect(textsOf(datasetWith(files, rule))).rejects.toMatchObject(about);
    }
  });

  test("are cut at line ends when there are no marks", async () => {
    const rule = { template: "{text}", documentBytes: 5 };
    const folder = datasetWith([{ path: "a.txt", format: "txt", content: "aa\nbbbb\ncc\ndd\nee" }], rule);
    expect(await textsOf(folder)).toEqual(["aa\nbbbb\n", "cc\ndd\n", "ee"]);
  });
});

describe("Parquet", () => {
  async function parquet(select: string, rowGroup = 2048): Promise<Buffer> {
    const file = path.join(temporaryFolder("parquet"), "a.parquet");
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    await connection.run(
      `COPY (${select}) TO '${file}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowGroup})`,
    );
    connection.closeSync();
    return readFileSync(file);
  }

  test("is read in the order of its rows, over many row groups, with progress to its end", async () => {
    const content = await parquet("SELECT 'story ' || i AS text, i AS id FROM range(10000) t(i)");
    const folder = datasetWith([{ path: "a.parquet", format: "parquet", content }]);
    const seen: number[][] = [];
    const onProgress = (done: number, total: number) => void seen.push([done, total]);
    const texts = await textsOf(folder, { onProgress });
    expect(texts).toEqual(Array.from({ length: 10_000 }, (_, index) => `story ${index}`));
    expect(seen.at(-1)).toEqual([content.length, content.length]);
  });

  test("gives nested columns, numbers and any characters", async () => {
    const content = await parquet(
      `SELECT [{'from': 'human', 'value': 'Why "é"?'}, {'from': 'gpt', 'value': 'So\n🙂'}] AS talk, 12.50::DECIMAL(18,2) AS "odd name"`,
    );
    const rule = { template: "{talk.0.value} {talk.1.value}" };
    expect(await textsOf(datasetWith([{ path: "a.parquet", format: "parquet", content }], rule))).toEqual([
      'Why "é"? So\n🙂',
    ]);
  });

  test("keeps a U+FEFF at the beginning of a text, which is no byte-order mark there", async () => {
    const content = await parquet("SELECT unnest([chr(65279) || 'a', '.b', '', chr(65279)]) AS text");
    const counts = { empty: 0, replaced: 0 };
    const folder = datasetWith([{ path: "a.parquet", format: "parquet", content }]);
    expect(await textsOf(folder, { counts })).toEqual(["\uFEFFa", ".b", "\uFEFF"]);
    expect(counts).toEqual({ empty: 1, replaced: 0 });
  });

  test("gives its first document without holding the others", async () => {
    const megabytes = 240;
    const text = "repeat(md5(i::VARCHAR), 320)"; // 10 KiB
    const content = await parquet(`SELECT ${text} AS text FROM range(${megabytes * 100}) t(i)`);
    const folder = datasetWith([{ path: "a.parquet", format: "parquet", content }]);
    const before = process.memoryUsage().rss;
    for await (const { utf8 } of readDocuments(folder, { signal: new AbortController().signal })) {
      expect(utf8.length).toBe(10_240);
      break;
    }
    expect((process.memoryUsage().rss - before) / 1e6).toBeLessThan(0.75 * megabytes);
  });

  test("names the column that is missing and the row that is null", async () => {
    const content = await parquet("SELECT CASE WHEN i = 2 THEN NULL ELSE 'x' END AS text FROM range(4) t(i)");
    const files: TestFile[] = [{ path: "a.parquet", format: "parquet", content }];
    await expect(textsOf(datasetWith(files, { template: "{story}" }))).rejects.toMatchObject({
      code: "NO_COLUMN",
      hint: expect.stringContaining("Its columns are: text"),
    });
    await expect(textsOf(datasetWith(files))).rejects.toThrow("a.parquet:3 cannot be read: {text} is null");
  });

  test("is found in a folder whose name looks like a pattern", async () => {
    const content = await parquet("SELECT 'here' AS text");
    const folder = datasetWith([{ path: "a*[1]'?.parquet", format: "parquet", content }], undefined, "odd[2]*");
    expect(await textsOf(folder)).toEqual(["here"]);
  });

  test("says when the bytes are no Parquet", async () => {
    const folder = datasetWith([{ path: "a.parquet", format: "parquet", content: "PAR1 but not really" }]);
    const refused = expect(textsOf(folder)).rejects;
    await refused.toMatchObject({ code: "BAD_PARQUET" });
    await refused.toThrow(/^a\.parquet cannot be read as Parquet: (?!.*\/)/);
  });
});

test("a folder that is no data set is refused", async () => {
  await expect(textsOf(temporaryFolder())).rejects.toMatchObject({ code: "BAD_DATASET" });
});
