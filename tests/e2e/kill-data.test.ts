// kill -9 of everything while the tokenizer is learned, while documents are encoded in worker threads, and while shards
// are written. The next run continues or begins again, and its bytes are those of a run that nobody disturbed.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { assetPath } from "../../src/util/package-root.ts";
import { LabRig, type StageState } from "../rigs/lab-rig.ts";
import { killTree } from "../rigs/process-tree.ts";

const PIPELINE = `profile: data
params:
  corpus: { dataset: { path: texts, template: "{text}" } }
  tokens: { tokenizer: bpe, vocabSize: 2000 }
  shards: { shardTokens: 1000000 }
profiles:
  data: {}
stages:
  corpus: { use: download }
  tokens: { use: tokenize, inputs: { corpus: corpus } }
  shards: { use: shard, inputs: { tokens: tokens } }
`;
/** Enough for workers to be used, and for a kill to land inside. */
const COPIES = 4;

/** The bundled stories a few times, each copy with its number in every document, for copies would be left out. */
function texts(): string {
  const lines = gunzipSync(readFileSync(assetPath("data", "stories.jsonl.gz")));
  const stories = lines
    .toString("utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).text as string);
  return Array.from({ length: COPIES }, (_, copy) =>
    stories.map((text) => `${JSON.stringify({ text: `${copy} ${text}` })}\n`).join(""),
  ).join("");
}

async function outputs(lab: LabRig) {
  const result = await lab.cli("repro", "--json");
  expect(result.code, result.stderr).toBe(0);
  const { stages } = JSON.parse(result.stdout) as { stages: StageState[] };
  return Object.fromEntries(stages.map((stage) => [stage.id, stage.outputs]));
}

test("kills while learning, encoding and sharding change no byte", async () => {
  const stories = texts();
  const create = () => {
    const lab = LabRig.create({ pipeline: PIPELINE });
    lab.write("texts/stories.jsonl", stories);
    return lab;
  };
  using calm = create();
  const expected = await outputs(calm);
  using lab = create();
  const moments = [
    ["start   tokens", 300],
    ["start   tokens", 900],
    ["start   tokens", 1500],
    ["start   shards", 200],
  ] as const;
  let kills = 0;
  for (const [line, delayMs] of moments) {
    const { child, ended, errorText } = lab.start(["repro"]);
    while (child.exitCode === null && !errorText().includes(line)) await sleep(20);
    await sleep(delayMs);
    if (child.exitCode === null) kills++;
    killTree(child.pid!);
    await ended;
  }
  expect(kills).toBeGreaterThan(0);
  expect(await outputs(lab)).toEqual(expected);
  expect((await lab.cli("audit")).code).toBe(0);
}, 240_000);
