import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { tableFromIPC } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportArtifact } from "../../src/cli/commands/export.ts";
import { inspect } from "../../src/cli/commands/inspect.ts";
import { printable } from "../../src/cli/output.ts";
import { parquetTable } from "../../src/data/export/parquet.ts";
import { type ItemRow, writeItems } from "../../src/eval/items.ts";
import type { Digest } from "../../src/util/digest.ts";
import download from "../../stages/download.ts";
import shard from "../../stages/shard.ts";
import tokenize from "../../stages/tokenize.ts";
import { printedBy } from "../rigs/printed.ts";
import { runStage, temporaryFolder } from "../rigs/stage-rig.ts";
import { StoreRig } from "../store/store-rig.ts";

/** Ten documents; one of them wants to turn the terminal red and the text around. */
const texts = Array.from(
  { length: 10 },
  (_, index) => `Story ${index}.\n\tIt has a \u001b[31mred\u001b[0m word and \u202Eanother.`,
);

let rig: StoreRig;
let shardsFolder: string;
let tokenizerFolder: string;
let shards: Digest;

beforeAll(async () => {
  rig = StoreRig.create();
  const root = temporaryFolder("lab");
  writeFileSync(path.join(root, "texts.jsonl"), texts.map((text) => `${JSON.stringify({ text })}\n`).join(""));
  const { dataset } = (await runStage(download, { params: { dataset: { path: "texts.jsonl" } }, root })).outputs;
  const params = { tokenizer: "bpe", vocabSize: 270, split: { validation: 0, test: 0.3 } } as const;
  const { tokens, tokenizer } = (await runStage(tokenize, { params, inputs: { corpus: dataset } })).outputs;
  const made = (await runStage(shard, { inputs: { tokens } })).outputs.shards;
  tokenizerFolder = temporaryFolder("tokenizer");
  cpSync(tokenizer, tokenizerFolder, { recursive: true });
  shardsFolder = temporaryFolder("shards");
  cpSync(made, shardsFolder, { recursive: true });
  shards = rig.store.putTree(made).digest;
  rig.record("tokens", { tokenizer: rig.store.putTree(tokenizer).digest, tokens: rig.store.putTree(tokens).digest });
  rig.record("shards", { shards });
});

afterAll(() => rig[Symbol.dispose]());

const look = (what: string, more: Partial<Parameters<typeof inspect>[1]> = {}) =>
  printedBy(() => inspect(what, { directory: rig.folder, start: 0, count: 20, json: false, ...more }));

interface Shown {
  readonly split: string;
  readonly document: number;
  readonly text: string;
  readonly tokens: readonly number[];
}
const shown = async (what: string, more: Partial<Parameters<typeof inspect>[1]> = {}): Promise<Shown[]> =>
  JSON.parse(await look(what, { json: true, ...more }));

describe("inspect", () => {
  test("prints the documents of a stage, of its hash, of a folder and of a single shard", async () => {
    const all = await shown("shards");
    expect(all.map(({ text }) => text).sort()).toEqual([...texts].sort());
    expect(await shown(shards)).toEqual(all);
    expect(await shown(shards.slice("sha256:".length, 20))).toEqual(all);
    expect(await shown(shardsFolder)).toEqual(all);
    const alone = await shown(path.join(shardsFolder, "train-00000.bin"));
    expect(alone).toEqual(all.filter(({ split }) => split === "train"));
    const entry = rig.store.readTree(shards).entries.find((file) => file.path === "train-00000.bin");
    const blob = await shown(entry?.type === "file" ? entry.digest : "");
    expect(blob).toEqual(alone.map((document) => ({ ...document, split: "" })));
    expect(readdirSync(rig.store.layout.tmp)).toEqual([]);
  });

  test("begins and ends where it is told, in the split it is told", async () => {
    const test = (await shown("shards")).filter(({ split }) => split === "test");
    expect(test.length).toBeGreaterThan(1);
    expect(await shown("shards", { split: "test" })).toEqual(test);
    expect(await shown("shards", { split: "test", start: 1, count: 1 })).toEqual([test[1]]);
    expect(await shown("shards", { count: 0 })).toEqual([]);
    const single = path.join(shardsFolder, "test-00000.bin");
    expect(await shown(single, { split: "test" })).toEqual(test);
    await expect(look(single, { split: "train" })).rejects.toMatchObject({ code: "OTHER_SPLIT", exitCode: 2 });
  });

  test("lets no control character of a document act", async () => {
    const printed = await look("shards");
    expect(printed).toContain("It has a \\u{1b}[31mred\\u{1b}[0m word and \\u{202e}another.");
    expect(printed).toContain("Story 0.\n\tIt has");
    for (const character of ["\u001b", "\u202e"]) expect(printed).not.toContain(character);
    expect(printable("\r\u0085\u2028\u2066é🙂\\")).toBe("\\u{d}\\u{85}\\u{2028}\\u{2066}é🙂\\");
  });

  test("says what it does not find: the artifact, or the tokenizer of a lab that has none", async () => {
    await expect(look("shardz")).rejects.toMatchObject({ code: "UNKNOWN_ARTIFACT", exitCode: 2 });
    await expect(look("tokens")).rejects.toThrow('"tokens" holds none of manifest.json.');
    const hint = expect.stringMatching(/^It holds stlm-tokenizer\.json, tokenizer\.json, .*tokens\.bin/);
    await expect(look("tokens")).rejects.toMatchObject({ hint });
    await expect(look("ffffffffffff")).rejects.toMatchObject({ code: "UNKNOWN_ARTIFACT" });
    await expect(look(path.join(tokenizerFolder, "tokenizer.json"))).rejects.toMatchObject({ code: "NO_SHARD" });
    const empty = temporaryFolder("empty");
    await expect(look(shardsFolder, { directory: empty })).rejects.toMatchObject({ code: "NO_TOKENIZER", exitCode: 2 });
    expect(await look(shardsFolder, { directory: empty, tokenizer: tokenizerFolder })).toContain("Story 1.");
  });
});

const write = (what: string, more: Partial<Parameters<typeof exportArtifact>[1]> = {}) =>
  printedBy(() => exportArtifact(what, { directory: rig.folder, to: "arrow", rows: "items", json: false, ...more }));

describe("export", () => {
  test("writes the documents of a stage or of one of its splits to Arrow", async () => {
    const output = path.join(temporaryFolder("export"), "deep/er/all.arrow");
    const printed = await write("shards", { output });
    expect(printed).toBe(`${output}: 10 rows of split, document, text, tokens\n`);
    const documents = await shown("shards");
    const table = tableFromIPC(readFileSync(output));
    const exported = table.toArray().map((row) => ({
      split: row.split,
      document: Number(row.document),
      text: row.text,
      tokens: [...row.tokens],
    }));
    expect(exported).toEqual(documents);
    const part = path.join(temporaryFolder("export"), "test.arrow");
    await write(shards, { output: part, split: "test" });
    expect(tableFromIPC(readFileSync(part)).numRows).toBe(documents.filter(({ split }) => split === "test").length);
  });

  test("writes the rows of an evaluation to both formats", async () => {
    const folder = temporaryFolder("evaluation");
    const row: ItemRow = {
      ...{ task: "blimp", subtask: "causative", item_id: "a", cluster: "a", item: 0, num_choices: 2, gold: 0 },
      ...{ prediction: null, prediction_norm: 1, prediction_bytes: 1, correct: null, correct_norm: false },
      ...{ correct_bytes: false, tie: null, credit: 0.5, log_probs: [-3.5, null], tokens: [4, 5], characters: [1, 2] },
      ...{ bytes: [1, 2], truncated: false },
    };
    await writeItems(path.join(folder, "items.parquet"), [row, { ...row, item: 1 }]);
    rig.record("evaluate[model=a,seed=1]", { evaluation: rig.store.putTree(folder).digest });
    for (const to of ["arrow", "parquet"] as const) {
      const output = path.join(temporaryFolder("export"), `items.${to}`);
      const json = JSON.parse(await write("evaluate[model=a]", { to, output, json: true }));
      expect(json).toMatchObject({ file: output, rows: 2 });
      if (to === "arrow") {
        const [first] = tableFromIPC(readFileSync(output)).toArray();
        expect(first).toMatchObject({ task: "blimp", prediction: null, credit: 0.5, truncated: false });
        expect([...first.log_probs]).toEqual([-3.5, null]);
      } else {
        const table = await parquetTable(output);
        expect(table.columns).toEqual(json.columns);
        table.close();
      }
    }
  });

  test("refuses shards with a damaged byte, and folders of something else", async () => {
    const damaged = temporaryFolder("damaged");
    cpSync(shardsFolder, damaged, { recursive: true });
    const file = path.join(damaged, "train-00000.bin");
    const bytes = readFileSync(file);
    bytes[1100]! ^= 1;
    writeFileSync(file, bytes);
    const output = path.join(temporaryFolder("export"), "all.arrow");
    for (const what of [damaged, file]) {
      await expect(write(what, { output })).rejects.toMatchObject({ code: "CORRUPT_SHARD" });
    }
    await expect(look(file)).rejects.toThrow(/^train-00000\.bin is damaged: expected sha256:/);
    expect(readdirSync(path.dirname(output))).toEqual([]);
    await expect(write(tokenizerFolder, { output })).rejects.toMatchObject({ code: "NOT_EXPORTABLE", exitCode: 2 });
  });
});
