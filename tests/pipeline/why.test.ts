import assert from "node:assert/strict";
import { expect, test } from "vitest";
import { type Explanation, renderExplanation } from "../../src/pipeline/why.ts";
import { copy, join, moduleText, PipelineRig, text } from "../rigs/pipeline-rig.ts";

/** The text that people read. Digests move with the versions of packages, so they are masked. */
async function golden(name: string, explanation: Explanation): Promise<void> {
  const shown = renderExplanation(explanation).replace(/\b[0-9a-f]{12}\b/g, "<digest>");
  await expect(`${shown}\n`).toMatchFileSnapshot(`../golden/why/${name}.txt`);
}

const TRAIN = moduleText(
  "writeFileSync(outputs.out.path('out.txt'), steps(params) + readFileSync(inputs.from.path('out.txt')));",
  {
    fields: 'inputs: { from: "files" },',
    head: 'import { steps } from "../lib/steps.ts";\n',
  },
).replace("  inputs: {},\n", "");
const FILES = {
  "seed.txt": "one",
  "stages/train.ts": TRAIN,
  "lib/steps.ts": "export const steps = (params: { steps: number }) => String(params.steps);\n",
};
const stages = (steps: number, more = {}) => ({
  data: copy("seed.txt"),
  train: { use: "train", inputs: { from: "data" }, params: { steps, ...more } },
});

test("why names each changed parameter with both values", async () => {
  await using rig = await PipelineRig.create({ stages: stages(400), files: FILES });
  await rig.run();
  await rig.setStages(stages(10, { schedule: "cosine" }));
  const explanation = await rig.why("train");
  assert.deepEqual(
    explanation.differences.map(({ path: field, before, now }) => [field, before, now]),
    [
      ["params.schedule", undefined, "cosine"],
      ["params.steps", 400, 10],
    ],
  );
  await golden("parameters", explanation);
});

test("why takes --set into account", async () => {
  await using rig = await PipelineRig.create({ stages: stages(400), files: FILES });
  await rig.run();
  const { differences } = await rig.why("train", { set: ["stages.train.params.steps=10"] });
  assert.deepEqual(differences, [{ path: "params.steps", before: 400, now: 10, notes: [] }]);
});

test("why names the source files whose code changed, not those with a new comment", async () => {
  await using rig = await PipelineRig.create({ stages: stages(400), files: FILES });
  await rig.run();
  await rig.write("stages/train.ts", `// A comment.\n${FILES["stages/train.ts"]}`);
  await rig.write("lib/steps.ts", FILES["lib/steps.ts"].replace("String(params.steps)", "`${params.steps + 1}`"));
  await golden("code", await rig.why("train"));
});

test("why names the upstream stage whose bytes changed, and what a command reads", async () => {
  const half = { ...stages(400), only: copy("data") };
  await using rig = await PipelineRig.create({ stages: half, files: FILES });
  await rig.run();
  await rig.write("seed.txt", "two");
  await golden("dep", await rig.why("data"));
  await golden("waits", await rig.why("train"));
  await rig.run({ targets: ["only"] });
  await golden("input", await rig.why("train"));
});

test("why compares lists of inputs by the instance that made them", async () => {
  const cells = (words: string[]) => ({
    cell: { use: "text", matrix: { word: words }, params: { text: "${word}" } },
    all: join("cell[*]"),
  });
  await using rig = await PipelineRig.create({ stages: cells(["x", "y"]) });
  await rig.run();
  await rig.setStages(cells(["w", "y"]));
  await rig.run({ targets: ["cell"] });
  await golden("list", await rig.why("all"));
});

test("why says that nothing differs, that nothing ever ran, and what is damaged", async () => {
  await using rig = await PipelineRig.create({ stages: { a: text("x") } });
  await golden("never", await rig.why("a"));
  await rig.run();
  await golden("fresh", await rig.why("a"));
  rig.damage(rig.objectsWith("x")[0]!, "y");
  await golden("damaged", await rig.why("a"));
  await golden("forced", await rig.why("a", { force: true }));
});

test("an instance that never ran is compared with the nearest record of its stage", async () => {
  const cells = (words: string[]) => ({ cell: { use: "text", matrix: { word: words }, params: { text: "${word}" } } });
  await using rig = await PipelineRig.create({ stages: cells(["x"]) });
  await rig.run();
  await rig.setStages(cells(["x", "y"]));
  const explanation = await rig.why("cell[word=y]");
  assert.equal(explanation.comparedWith?.stage, "cell[word=x]");
  await golden("nearest", explanation);
});
