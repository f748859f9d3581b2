// What a stage's process is given (variables, seed, device, GPUs), and which of it enters the key.

import assert from "node:assert/strict";
import { test } from "vitest";
import { moduleText, PipelineRig, text } from "../rigs/pipeline-rig.ts";

test("a stage sees a clean environment and no variable of the caller's", async () => {
  const body = "writeFileSync(outputs.out.path('out.txt'), JSON.stringify(process.env));";
  await using rig = await PipelineRig.create({
    stages: { env: { use: "env" } },
    files: { "stages/env.ts": moduleText(body) },
  });
  process.env["STLM_TEST_LEAK"] = "1";
  process.env["HF_TOKEN"] = "secret";
  try {
    await rig.run();
  } finally {
    delete process.env["STLM_TEST_LEAK"];
    delete process.env["HF_TOKEN"];
  }
  const seen = JSON.parse(rig.output("env"));
  assert.equal(seen.TZ, "UTC");
  assert.equal(seen.LC_ALL, "C");
  const allowed = ["PATH", "HOME", "TMPDIR", "TZ", "LC_ALL", "STLM_PACKAGE_ROOT"];
  assert.deepEqual(
    Object.keys(seen).filter((name) => !allowed.includes(name)),
    [],
  );
});

test("seeds enter the key only where a stage draws", async () => {
  const stages = (seed: number) => ({ plain: { ...text("p"), seed }, drawn: { use: "drawn", seed } });
  await using rig = await PipelineRig.create({
    stages: stages(1),
    files: {
      "stages/drawn.ts": moduleText("writeFileSync(outputs.out.path('out.txt'), `${seed}`);", {
        fields: "seeded: true,",
      }),
    },
  });
  await rig.run();
  await rig.setStages(stages(2));
  assert.deepEqual(await rig.run(), { plain: "fresh", drawn: "ran" });
});

test("the device enters the key only where a stage computes on it", async () => {
  await using rig = await PipelineRig.create({
    stages: { plain: text("p"), heavy: { use: "heavy" } },
    files: {
      "stages/heavy.ts": moduleText("writeFileSync(outputs.out.path('out.txt'), device);", { fields: "device: true," }),
    },
  });
  await rig.run({ device: "cpu" });
  assert.deepEqual(await rig.run({ device: "reference" }), { plain: "fresh", heavy: "ran" });
  assert.deepEqual(await rig.run({ device: "reference", deviceClass: () => "other" }), {
    plain: "fresh",
    heavy: "ran",
  });
});

test("GPUs are handed out by id, each to one stage at a time", async () => {
  const body = "writeFileSync(outputs.out.path('out.txt'), process.env.CUDA_VISIBLE_DEVICES ?? 'none');";
  const heavy = { use: "heavy", matrix: { n: [1, 2, 3] }, params: { n: "${n}" }, resources: { gpu: 1 } };
  await using rig = await PipelineRig.create({
    stages: { heavy },
    files: { "stages/heavy.ts": moduleText(body, { fields: "device: true," }) },
  });
  await rig.run({ device: "cuda", gpus: ["4", "7"], jobs: 3 });
  const ids = [1, 2, 3].map((n) => rig.output(`heavy[n=${n}]`));
  assert.ok(ids.every((id) => id === "4" || id === "7") && ids.includes("4") && ids.includes("7"), ids.join());
  await rig.setStages({ heavy: { ...heavy, resources: { gpu: 3 } } });
  await assert.rejects(rig.run({ device: "cuda", gpus: ["4", "7"] }), { code: "NOT_ENOUGH_GPUS" });
});

test("each stage runs on the device of its precision, and only what runs on a GPU is given one", async () => {
  const body = "writeFileSync(outputs.out.path('out.txt'), `${device} ${process.env.CUDA_VISIBLE_DEVICES ?? 'none'}`);";
  const fields = "device: true, precision: (params) => (Number(params.n) > 1 ? 'bf16' : 'f32'),";
  await using rig = await PipelineRig.create({
    stages: { mixed: { use: "mixed", matrix: { n: [1, 2] }, params: { n: "${n}" }, resources: { gpu: 1 } } },
    files: { "stages/mixed.ts": moduleText(body, { fields }) },
  });
  const asked: string[] = [];
  const deviceClass = (device: string, precision: string) => {
    asked.push(`${device} ${precision}`);
    return device;
  };
  const device = (precision: string) => (precision === "bf16" ? "cuda" : "cpu");
  await rig.run({ device, deviceClass, gpus: ["5"] });
  assert.deepEqual([rig.output("mixed[n=1]"), rig.output("mixed[n=2]")], ["cpu none", "cuda 5"]);
  assert.deepEqual([...new Set(asked)].sort(), ["cpu f32", "cuda bf16"]);
  assert.deepEqual(await rig.run({ device: "cpu", deviceClass }), { "mixed[n=1]": "fresh", "mixed[n=2]": "ran" });
});
