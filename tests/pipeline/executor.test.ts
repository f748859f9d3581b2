import assert from "node:assert/strict";
import { test } from "vitest";
import { copy, PipelineRig } from "../rigs/pipeline-rig.ts";

test("a stage whose input did not change is fresh", async () => {
  await using rig = await PipelineRig.create({
    stages: { a: copy("seed.txt"), b: copy("a") },
    files: { "seed.txt": "one" },
  });
  assert.deepEqual(await rig.run(), { a: "ran", b: "ran" });
  assert.equal(rig.output("b"), "one");
  await rig.write("unrelated.txt", "new");
  assert.deepEqual(await rig.run(), { a: "fresh", b: "fresh" });
});
