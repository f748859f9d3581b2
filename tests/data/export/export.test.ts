import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { tableFromIPC } from "apache-arrow";
import { beforeAll, describe, expect, test } from "vitest";
import { readDocuments } from "../../../src/data/documents.ts";
import { exportTable } from "../../../src/data/export/index.ts";
import { parquetTable } from "../../../src/data/export/parquet.ts";
import { shardsTable } from "../../../src/data/export/shards-table.ts";
import type { ExportColumn, ExportTable, ExportValue } from "../../../src/data/export/table.ts";
import { openShardFile, readShardFileTexts, readShardTexts, type TextDocument } from "../../../src/data/shard-texts.ts";
import { openShards } from "../../../src/data/shards.ts";
import { splitNames } from "../../../src/data/split.ts";
import { loadTokenizer, makeTokenizer, type Tokenizer } from "../../../src/data/tokenizers/index.ts";
import download from "../../../stages/download.ts";
import shard from "../../../stages/shard.ts";
import tokenize from "../../../stages/tokenize.ts";
import { runStage, temporaryFolder } from "../../rigs/stage-rig.ts";

const formats = ["arrow", "parquet"] as const;
type Format = (typeof formats)[number];

let shards: string;
let tokenizer: Tokenizer;
let documents: TextDocument[];

beforeAll(async () => {
  const { dataset } = (await runStage(download, { params: { dataset: "bundled-chat" } })).outputs;
  const params = { tokenizer: "bpe", vocabSize: 512 } as const;
  const run = await runStage(tokenize, { params, inputs: { corpus: dataset } });
  tokenizer = loadTokenizer(run.outputs.tokenizer);
  const inputs = { tokens: run.outputs.tokens };
  shards = (await runStage(shard, { params: { shardTokens: 50_000 }, inputs })).outputs.shards;
  const set = openShards(shards);
  documents = [...readShardTexts(set, tokenizer)];
  set.close();
});

/** The rows of an exported file, read by another program: DuckDB, or Arrow's own reader. */
async function rowsOf(file: string, format: Format): Promise<Record<string, unknown>[]> {
  if (format === "arrow") {
    const plain = (value: unknown): unknown =>
      typeof value === "object" && value !== null && Symbol.iterator in value
        ? [...(value as Iterable<unknown>)]
        : value;
    const table = tableFromIPC(readFileSync(file));
    const names = table.schema.fields.map((field) => field.name);
    return table.toArray().map((row) => Object.fromEntries(names.map((name) => [name, plain(row[name])])));
  }
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  const rows = (await connection.runAndReadAll(`SELECT * FROM read_parquet('${file}')`)).getRowObjectsJS();
  connection.closeSync();
  return rows;
}

describe("the documents of shards", () => {
  test("are those of the corpus, each in its split, whichever way they are read", () => {
    expect(documents).toHaveLength(700);
    const set = openShards(shards);
    for (const split of splitNames) {
      const own = documents.filter((document) => document.split === split);
      expect(own.map(({ document }) => document)).toEqual(own.map((_, index) => index));
      const late = [...readShardTexts(set, tokenizer, { splits: [split], start: 7 })];
      expect(late).toEqual(own.slice(7));
      const parts = set.manifest.splits[split].shards.map(({ file }) => openShardFile(path.join(shards, file)));
      const alone = parts.flatMap((part) => [...readShardFileTexts(part, tokenizer)]);
      expect(alone.map(({ text }) => text)).toEqual(own.map(({ text }) => text));
      expect(alone.every((document) => document.split === split)).toBe(true);
      const { documents: count } = set.manifest.splits[split].shards[0]!;
      expect([...readShardFileTexts(parts[0]!, tokenizer, 3)]).toEqual(alone.slice(3, count));
    }
    set.close();
  });

  test("are refused with another tokenizer, from a file that is no shard, and from one cut short", async () => {
    const other = await makeTokenizer("bytes", { documents: [] });
    const set = openShards(shards);
    expect(() => [...readShardTexts(set, other)]).toThrow("The shards were made with the tokenizer sha256:");
    set.close();
    expect(() => openShardFile(path.join(shards, "manifest.json"))).toThrow("is no shard");
    const whole = readFileSync(path.join(shards, "test-00000.bin"));
    const short = path.join(temporaryFolder("short"), "test-00000.bin");
    writeFileSync(short, whole.subarray(0, -4));
    expect(() => [...readShardFileTexts(openShardFile(short), tokenizer)]).toThrow("is damaged: it has");
  });
});

describe.each(formats)("a table exported to %s", (format) => {
  test("holds every document of the shards with its split, text and tokens", async () => {
    const file = path.join(temporaryFolder("export"), `shards.${format}`);
    const counts: number[] = [];
    expect(await exportTable(shardsTable(documents), file, format, (rows) => void counts.push(rows))).toBe(700);
    expect(counts.at(-1)).toBe(700);
    expect(readdirSync(path.dirname(file))).toEqual([path.basename(file)]);
    const rows = await rowsOf(file, format);
    expect(rows).toEqual(
      documents.map(({ split, document, text, ids }) => ({
        split,
        document: BigInt(document),
        text,
        tokens: [...ids],
      })),
    );
  });

  test("is a data set again, of the same documents", async () => {
    const root = temporaryFolder("lab");
    mkdirSync(path.join(root, "texts"));
    await exportTable(shardsTable(documents), path.join(root, "texts", `all.${format}`), format);
    const { outputs } = await runStage(download, { params: { dataset: { path: "texts" } }, root });
    const texts: string[] = [];
    for await (const { text } of readDocuments(outputs.dataset, { signal: new AbortController().signal }))
      texts.push(text);
    expect(texts).toEqual(documents.map(({ text }) => text));
  });

  test("keeps every kind of value, nulls in columns and in lists included, and may be empty", async () => {
    const columns: readonly ExportColumn[] = [
      { name: "text", type: "text" },
      { name: "good", type: "bool" },
      { name: "item", type: "int" },
      { name: "bytes", type: "long" },
      { name: "nats", type: "double" },
      { name: 'odd "name"', type: "text[]" },
      { name: "log_probs", type: "double[]" },
      { name: "ids", type: "int[]" },
    ];
    const rows: ExportValue[][] = [
      ["é🙂\u0000", true, -1, 2n ** 40n, 0.1, ["a", "", "ü"], [0.5, null, -1e300], [1, 2]],
      [null, null, null, null, null, null, null, null],
      ["", false, 2 ** 31 - 1, 0n, -0.25, [], [null], []],
    ];
    const batch = (from: number, to: number) => ({
      rows: to - from,
      values: columns.map((_, column) => rows.slice(from, to).map((row) => row[column]!)),
    });
    const table: ExportTable = { columns, batches: () => [batch(0, 1), batch(1, 3)] };
    const file = path.join(temporaryFolder("export"), `all.${format}`);
    await exportTable(table, file, format);
    const read = await rowsOf(file, format);
    expect(read.map((row) => columns.map(({ name }) => row[name]))).toEqual(rows);

    const empty = path.join(temporaryFolder("export"), `empty.${format}`);
    expect(await exportTable({ columns, batches: () => [] }, empty, format)).toBe(0);
    expect(await rowsOf(empty, format)).toEqual([]);
  });

  test("leaves the file that was there when it fails, and nothing beside it", async () => {
    const folder = temporaryFolder("export");
    const file = path.join(folder, `all.${format}`);
    writeFileSync(file, "before");
    const columns: readonly ExportColumn[] = [{ name: "text", type: "text" }];
    function* batches() {
      yield { rows: 1, values: [["a"]] };
      throw new Error("the disk is full");
    }
    await expect(exportTable({ columns, batches }, file, format)).rejects.toThrow("the disk is full");
    expect(readdirSync(folder)).toEqual([path.basename(file)]);
    expect(readFileSync(file, "utf8")).toBe("before");
  });

  test("is refused with a reason where it cannot be written, and leaves nothing behind", async () => {
    const folder = temporaryFolder("export");
    writeFileSync(path.join(folder, "plain"), "before");
    mkdirSync(path.join(folder, "made"));
    const columns: readonly ExportColumn[] = [{ name: "text", type: "text" }];
    const table = { columns, batches: () => [{ rows: 1, values: [["a"]] }] };
    for (const name of ["made", "plain/deep.out", "made/../plain/deep.out"]) {
      const target = path.join(folder, name);
      await expect(exportTable(table, target, format)).rejects.toMatchObject({ code: "EXPORT_TARGET", exitCode: 2 });
    }
    await expect(exportTable(table, "/dev/null", format)).rejects.toThrow(
      "/dev/null cannot be written: it is no file.",
    );
    // The folder of that name comes up while rows are written.
    const late = path.join(folder, "late");
    function* batches() {
      yield { rows: 1, values: [["a"]] };
      mkdirSync(late);
    }
    await expect(exportTable({ columns, batches }, late, format)).rejects.toMatchObject({ code: "EXPORT_TARGET" });
    expect(readdirSync(folder).sort()).toEqual(["late", "made", "plain"]);
    expect(readFileSync(path.join(folder, "plain"), "utf8")).toBe("before");
  });

  test("of an evaluation's rows is the same table", async () => {
    const source = path.join(temporaryFolder("rows"), "it's [rows]*.parquet");
    const columns: readonly ExportColumn[] = [
      { name: "task", type: "text" },
      { name: "log_probs", type: "double[]" },
      { name: "tokens", type: "int[]" },
    ];
    const values = [
      ["blimp", "mmlu"],
      [[-1.5, null], [0.25]],
      [[3, 4], [5]],
    ];
    await exportTable({ columns, batches: () => [{ rows: 2, values }] }, source, "parquet");
    const table = await parquetTable(source);
    expect(table.columns).toEqual(columns);
    const file = path.join(temporaryFolder("export"), `rows.${format}`);
    await exportTable(table, file, format);
    table.close();
    expect((await rowsOf(file, format)).map((row) => Object.values(row))).toEqual([
      ["blimp", [-1.5, null], [3, 4]],
      ["mmlu", [0.25], [5]],
    ]);
    await expect(parquetTable(path.join(path.dirname(source), "none.parquet"))).rejects.toMatchObject({
      code: "PARQUET_UNREADABLE",
    });
    expect(existsSync(`${file}.partial`)).toBe(false);
  });
});
