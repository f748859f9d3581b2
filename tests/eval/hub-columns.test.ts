// The hub's Parquet files in miniature: the same column names and types, nested ones included, written by DuckDB.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { beforeAll, describe, expect, test } from "vitest";
import { benchmarksHub } from "../../src/data/datasets/benchmarks-hub.ts";
import { benchmarkNames } from "../../src/eval/benchmarks/index.ts";
import { type BenchmarkItems, readBenchmarks } from "../../src/eval/dataset.ts";
import { temporaryFolder } from "../rigs/stage-rig.ts";

/** Two rows of each, as SQL. ClassLabels (MMLU's answer) are int64 in the hub's files, HellaSwag's label is a string. */
const TABLES: Readonly<Record<string, string>> = {
  blimp: `SELECT 'Who eats?' AS sentence_good, 'Who eat?' AS sentence_bad, 'syntax' AS field, 'binding' AS linguistics_term,
    uid AS UID, true AS simple_LM_method, false AS one_prefix_method, false AS two_prefix_method,
    true AS lexically_identical, pair::INTEGER AS pair_id FROM (VALUES ('adjunct_island', 0), ('wh_island', 1)) t(uid, pair)`,
  hellaswag: `SELECT row::INTEGER AS ind, 'Clean and jerk' AS activity_label, 'A lady walks to a barbell.' AS ctx_a,
    'the lady' AS ctx_b, 'A lady walks to a barbell. the lady' AS ctx,
    ['swings.', '[substeps] pulls it.', 'runs', 'stands'] AS endings, 'activitynet~v_1' AS source_id,
    'val' AS split, 'indomain' AS split_type, label FROM (VALUES (4, '3'), (8, '1')) t(row, label)`,
  "arc-easy": arcRows("Mercury_1", "['A', 'B', 'C', 'D']", "C"),
  "arc-challenge": arcRows("ACTAAP_2", "['1', '2', '3', '4']", "3"),
  winogrande: `SELECT 'Ann beat Sue so _ is glad.' AS sentence, 'Ann' AS option1, 'Sue' AS option2, answer
    FROM (VALUES ('1'), ('2')) t(answer)`,
  mmlu: `SELECT 'What is 1 + 1?' AS question, 'abstract_algebra' AS subject, ['0', '1', '2', '3'] AS choices,
    answer::BIGINT AS answer FROM (VALUES (2), (0)) t(answer)`,
};

function arcRows(id: string, labels: string, key: string): string {
  return `SELECT id, question, {'text': ['a stone', 'a cat', 'the sun', 'ice'], 'label': ${labels}} AS choices,
    '${key}' AS answerKey FROM (VALUES ('${id}', 'What is hot?'), ('${id}0', 'What shines?')) t(id, question)`;
}

/** A `dataset` artifact of one small file a benchmark, under the name that the hub gives it. */
async function hubInMiniature(): Promise<string> {
  const folder = temporaryFolder("hub");
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const files = [];
  for (const [benchmark, query] of Object.entries(TABLES)) {
    const { path: name } = benchmarksHub.files.find((file) => file.benchmark === benchmark)!;
    const target = path.join(folder, "files", name);
    mkdirSync(path.dirname(target), { recursive: true });
    await connection.run(`COPY (${query}) TO '${target}' (FORMAT parquet)`);
    files.push({ path: name, bytes: 0, sha256: `sha256:${"0".repeat(64)}`, format: "parquet", benchmark });
  }
  connection.closeSync();
  instance.closeSync();
  const about = { name: "hub", kind: "benchmark", license: "MIT", homepage: "", text: { template: "{text}" } };
  writeFileSync(path.join(folder, "dataset.json"), JSON.stringify({ ...about, files }));
  return folder;
}

describe("the hub's columns", () => {
  let tasks: ReadonlyMap<string, BenchmarkItems>;

  beforeAll(async () => {
    const set = await readBenchmarks(await hubInMiniature(), { protocol: "harness" });
    tasks = new Map(set.tasks.map((task) => [task.task, task]));
  });

  const itemsOf = (task: string) => tasks.get(task)!.items;

  test("are read for every benchmark that can be scored", () => {
    expect([...tasks.keys()]).toEqual(benchmarkNames);
    expect([...tasks.values()].map(({ items }) => items.length)).toEqual(benchmarkNames.map(() => 2));
  });

  test("of HellaSwag give the harness's request: second half capitalised, an ending's space kept", () => {
    const [first, second] = itemsOf("hellaswag");
    expect([first!.gold, second!.gold]).toEqual([3, 1]);
    expect(first!.cluster).toBe("activitynet~v_1");
    expect(first!.choices.slice(0, 2)).toEqual([
      { context: "Clean and jerk: A lady walks to a barbell. The lady", continuation: " swings." },
      { context: "Clean and jerk: A lady walks to a barbell. The lady", continuation: "  pulls it." },
    ]);
  });

  test("of ARC give the nested choices, whether labels are letters or digits", () => {
    for (const task of ["arc-easy", "arc-challenge"]) {
      const [item] = itemsOf(task);
      expect(item!.gold).toBe(2);
      expect(item!.choices[2]).toEqual({ context: "Question: What is hot?\nAnswer:", continuation: " the sun" });
    }
  });

  test("of MMLU give the answer from a 64-bit integer and the list of choices", () => {
    expect(itemsOf("mmlu").map(({ gold }) => gold)).toEqual([2, 0]);
    expect(itemsOf("mmlu")[0]!.choices[0]!.context).toContain("\nA. 0\nB. 1\nC. 2\nD. 3\nAnswer:");
  });

  test("of WinoGrande and BLiMP give the answer and the paradigm", () => {
    expect(itemsOf("winogrande").map(({ gold }) => gold)).toEqual([0, 1]);
    expect(itemsOf("blimp").map(({ subtask }) => subtask)).toEqual(["adjunct_island", "wh_island"]);
  });
});

test("benchmarks-hub names a file for every benchmark that can be scored, and BLiMP's 67", () => {
  const named = benchmarksHub.files.map(({ benchmark }) => benchmark);
  expect(new Set(named)).toEqual(new Set(benchmarkNames));
  expect(named.filter((benchmark) => benchmark === "blimp")).toHaveLength(67);
  expect(benchmarksHub.files.every(({ source }) => source.kind === "url")).toBe(true);
});
