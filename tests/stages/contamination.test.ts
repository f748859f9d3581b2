// Bundled benchmark items leaked into training text: found by the stage and shown in the report.

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { makeTokenizer } from "../../src/data/tokenizers/index.ts";
import { buildReport } from "../../src/report/report.ts";
import contamination from "../../stages/contamination.ts";
import download from "../../stages/download.ts";
import shard from "../../stages/shard.ts";
import { makeTokens } from "../data/token-rig.ts";
import { bundledRows } from "../eval/helpers.ts";
import { runStage, temporaryFolder } from "../rigs/stage-rig.ts";

const { signal } = new AbortController();

test("leaked items are counted, named in the artifact and printed in the report", async () => {
  const { dataset } = (await runStage(download, { params: { dataset: "bundled-benchmarks" } })).outputs;
  const twin = bundledRows("winogrande-200")[3] as {
    sentence: string;
    option1: string;
    option2: string;
    answer: string;
  };
  const filled = twin.sentence.replace("_", twin.answer === "1" ? twin.option1 : twin.option2);
  const { tokens, tokenizer } = makeTokens([
    { text: "Nothing of interest stands in this document, and nothing at all in its last words." },
    { text: `As they say: ${filled.toUpperCase()} And so on.` },
    { text: filled, split: "test" },
    { text: `A riddle. ${(bundledRows("gsm8k-100")[5] as { question: string }).question}` },
  ]);
  const shards = (await runStage(shard, { inputs: { tokens } })).outputs.shards;
  const run = await runStage(contamination, { inputs: { shards, tokenizer, benchmarks: dataset } });
  const read = (file: string) => readFileSync(path.join(run.outputs.contamination, file), "utf8");
  const summary = JSON.parse(read("contamination.json"));
  expect(summary).toMatchObject({ ngramWords: 13, leastWords: 5, documents: 3 });
  expect(summary.benchmarks.winogrande).toMatchObject({ items: 200, checked: 200, overlapping: 1, contained: 1 });
  expect(summary.benchmarks.hellaswag.overlapping).toBe(0);
  expect(summary.benchmarks.gsm8k).toMatchObject({ items: 100, checked: 100, overlapping: 1, contained: 0 });
  const [match, riddle, ...rest] = read("matches.jsonl").trimEnd().split("\n");
  expect(rest).toEqual([]);
  expect(JSON.parse(match!)).toMatchObject({
    benchmark: "winogrande",
    document: 1,
    item: expect.stringMatching(/^[0-9a-f]{16}$/),
  });

  expect(JSON.parse(riddle!)).toMatchObject({ benchmark: "gsm8k", document: 2 });

  const digest = `sha256:${"5".repeat(64)}` as const;
  const artifact = {
    ...{ digest, stage: "contamination", matrix: {} },
    path: (...parts: string[]) => path.join(run.outputs.contamination, ...parts),
  };
  const options = { title: "Report", hypotheses: [], resamples: 100 };
  const files = await buildReport({ runs: [], controls: [], curves: [], contamination: artifact }, options);
  const lines = files.get("README.md")!.split("\n");
  const line = lines.find((text) => text.startsWith("| WinoGrande "));
  expect(lines[lines.findIndex((text) => text.startsWith("| MMLU ")) + 1]).toMatch(/^\| GSM8K +\| +100 +\|/);
  expect(line?.split("|").map((cell) => cell.trim())).toEqual([
    "",
    "WinoGrande",
    "200",
    "200",
    "1",
    "1",
    "0.5",
    "`555555555555`",
    "",
  ]);
  expect(files.get("results.json")).toContain('"contamination/winogrande/overlapping"');
});

test("another tokenizer than that of the shards is refused", async () => {
  const { tokens } = makeTokens([{ text: "a b c" }]);
  async function* texts() {
    yield "other words";
  }
  const tokenizer = temporaryFolder("tokenizer");
  (await makeTokenizer("bpe", { vocabSize: 258, documents: texts(), signal })).save(tokenizer);
  const shards = (await runStage(shard, { inputs: { tokens } })).outputs.shards;
  const { dataset } = (await runStage(download, { params: { dataset: "bundled-benchmarks" } })).outputs;
  const run = runStage(contamination, { inputs: { shards, tokenizer, benchmarks: dataset } });
  await expect(run).rejects.toMatchObject({ code: "TOKENIZER_MISMATCH" });
});
