import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, describe, expect, test } from "vitest";
import { readBenchmarks } from "../../src/eval/dataset.ts";
import { assetPath } from "../../src/util/package-root.ts";
import { bundledRows } from "./helpers.ts";

const root = mkdtempSync(path.join(tmpdir(), "benchmarks-"));
afterAll(() => rmSync(root, { recursive: true }));

interface File {
  readonly path: string;
  readonly format: string;
  readonly benchmark: string;
}

/** A `dataset` artifact whose files the caller fills in. */
function dataset(name: string, files: readonly File[]): string {
  const folder = path.join(root, name);
  mkdirSync(path.join(folder, "files"), { recursive: true });
  const about = { name, kind: "benchmark", license: "MIT", homepage: "", text: { template: "{text}" } };
  const sha256 = `sha256:${"0".repeat(64)}`;
  const described = files.map((file) => ({ ...file, bytes: 0, sha256 }));
  writeFileSync(path.join(folder, "dataset.json"), JSON.stringify({ ...about, files: described }));
  return folder;
}

const BUNDLED = ["mmlu-228", "gsm8k-100", "blimp-6700", "arc-easy-200"];
const bundled = dataset(
  "bundled",
  BUNDLED.map((file) => ({ path: `${file}.jsonl.gz`, format: "jsonl.gz", benchmark: file.replace(/-\d+$/, "") })),
);
for (const file of BUNDLED) {
  copyFileSync(assetPath("data", `eval-${file}.jsonl.gz`), path.join(bundled, "files", `${file}.jsonl.gz`));
}

describe("readBenchmarks", () => {
  test("gives all that can be scored, in a fixed order, and says what cannot", async () => {
    const { tasks, skipped } = await readBenchmarks(bundled, { protocol: "harness" });
    expect(tasks.map(({ task, items }) => [task, items.length])).toEqual([
      ["blimp", 6700],
      ["arc-easy", 200],
      ["mmlu", 228],
    ]);
    expect(skipped).toEqual({ gsm8k: expect.stringContaining("generation is not scored") });
  });

  test("keeps to the tasks asked for, and refuses one that the data set lacks", async () => {
    const { tasks } = await readBenchmarks(bundled, { protocol: "harness", tasks: ["mmlu"] });
    expect(tasks.map(({ task }) => task)).toEqual(["mmlu"]);
    await expect(readBenchmarks(bundled, { protocol: "harness", tasks: ["winogrande"] })).rejects.toMatchObject({
      code: "BENCHMARK_MISSING",
      hint: "It holds: mmlu, blimp, arc-easy.",
    });
  });

  test("draws the same subset from any order of the rows", async () => {
    const rows = bundledRows("arc-easy-200");
    const folder = dataset("reversed", [{ path: "arc.jsonl", format: "jsonl", benchmark: "arc-easy" }]);
    const reversed = rows.reverse().map((row) => JSON.stringify(row));
    writeFileSync(path.join(folder, "files", "arc.jsonl"), `${reversed.join("\r\n")}\r\n`);
    const options = { protocol: "harness", tasks: ["arc-easy"], maxItems: 17 } as const;
    const ids = async (from: string) => (await readBenchmarks(from, options)).tasks[0]!.items.map(({ id }) => id);
    const drawn = await ids(bundled);
    expect(drawn).toHaveLength(17);
    expect(await ids(folder)).toEqual([...drawn].reverse());
  });

  test("reads the hub's Parquet files and one JSON array alike", async () => {
    const folder = dataset("formats", [
      { path: "arc.parquet", format: "parquet", benchmark: "arc-easy" },
      { path: "mmlu.json", format: "json", benchmark: "mmlu" },
    ]);
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const source = path.join(folder, "arc.jsonl");
    writeFileSync(
      source,
      bundledRows("arc-easy-200")
        .map((row) => JSON.stringify(row))
        .join("\n"),
    );
    const target = path.join(folder, "files", "arc.parquet");
    await connection.run(`COPY (SELECT * FROM read_json('${source}')) TO '${target}' (FORMAT parquet)`);
    connection.closeSync();
    instance.closeSync();
    writeFileSync(path.join(folder, "files", "mmlu.json"), JSON.stringify(bundledRows("mmlu-228")));
    const [arc, mmlu] = (await readBenchmarks(folder, { protocol: "harness" })).tasks;
    const expected = (await readBenchmarks(bundled, { protocol: "harness", tasks: ["arc-easy", "mmlu"] })).tasks;
    expect([arc, mmlu]).toEqual(expected);
  });

  test.each([
    ["jsonl", '{"question": 1}\n', "BENCHMARK_ROW"],
    ["jsonl", "{ not json\n", "BENCHMARK_UNREADABLE"],
    ["jsonl.gz", "not gzip", "BENCHMARK_UNREADABLE"],
    ["json", "{}", "BENCHMARK_UNREADABLE"],
    ["parquet", "not parquet", "PARQUET_UNREADABLE"],
    ["txt", "text", "BENCHMARK_FORMAT"],
  ])("names the file and the row of a bad %s", async (format, content, code) => {
    const folder = dataset(`bad-${code}-${format}`, [{ path: `x.${format}`, format, benchmark: "mmlu" }]);
    writeFileSync(path.join(folder, "files", `x.${format}`), content);
    await expect(readBenchmarks(folder, { protocol: "harness" })).rejects.toMatchObject({
      code,
      where: { file: expect.stringContaining(`x.${format}`) },
    });
  });
});
