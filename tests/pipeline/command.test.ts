// Stages in any other language: what a command sees, what makes it run again, and what it may write.

import assert from "node:assert/strict";
import { test } from "vitest";
import type { Failed } from "../../src/pipeline/events.ts";
import { PipelineRig, text } from "../rigs/pipeline-rig.ts";

test("a command reads its inputs where the variables say, and its declared variables", async () => {
  const cmd =
    'printf "%s %s %s" "$(cat "$STLM_INPUT_FIRST/out.txt")" "$(cat "$STLM_INPUT_MANY"/*/out.txt)" "$WORD" > made/out.txt';
  await using rig = await PipelineRig.create({
    stages: {
      first: text("one"),
      cell: { use: "text", matrix: { word: ["x", "y"] }, params: { text: "${word}" } },
      shell: {
        cmd: `mkdir made && ${cmd}`,
        inputs: { first: "first", many: "cell[*]" },
        env: { WORD: "two" },
        outs: ["made/"],
      },
    },
  });
  assert.equal((await rig.run())["shell"], "ran");
  assert.equal(rig.output("shell", "made/out.txt"), "one xy two");
});

test("a command reruns when its text or a dep changes, and not when another file does", async () => {
  const stage = (cmd: string) => ({ shell: { cmd, deps: ["in/"], outs: ["out.txt"] } });
  await using rig = await PipelineRig.create({
    stages: stage("cat in/* > out.txt"),
    files: { "in/a.txt": "a", "other.txt": "o" },
  });
  await rig.run();
  await rig.write("other.txt", "changed");
  assert.deepEqual(await rig.run(), { shell: "fresh" });
  await rig.write("in/b.txt", "b");
  assert.deepEqual(await rig.run(), { shell: "ran" });
  assert.equal(rig.output("shell"), "ab");
  await rig.setStages(stage("cat in/*  > out.txt"));
  assert.deepEqual(await rig.run(), { shell: "ran" });
});

test("a command runs in a clean folder: a file that it did not declare is not there", async () => {
  await using rig = await PipelineRig.create({
    stages: { shell: { cmd: "cat secret.txt > out.txt", outs: ["out.txt"] } },
    files: { "secret.txt": "undeclared" },
  });
  assert.deepEqual(await rig.run(), { shell: "failed" });
});

test("a command whose dep or out is missing says so", async () => {
  await using rig = await PipelineRig.create({ stages: { a: { cmd: "true", deps: ["nowhere.txt"], outs: ["x"] } } });
  await assert.rejects(rig.run(), { code: "MISSING_DEP", message: /nowhere\.txt/ });
  await rig.setStages({ a: { cmd: "true", outs: ["x"] } });
  assert.deepEqual(await rig.run(), { a: "failed" });
  assert.equal((rig.outcome("a") as Failed).error.code, "MISSING_OUT");
});

test("a command may not depend on the lab's own artifacts, which change with every run", async () => {
  await using rig = await PipelineRig.create({ stages: {} });
  for (const dep of [".", "artifacts", "./artifacts/latest/tokens"]) {
    await rig.setStages({ a: { cmd: "true", deps: [dep], outs: ["x"] } });
    await assert.rejects(rig.plan(), { code: "BAD_DEP", hint: /comes in through `inputs`/ }, dep);
  }
});

test("an out that holds a link to nowhere or a pipe is told, without a stack", async () => {
  await using rig = await PipelineRig.create({ stages: {} });
  for (const make of ["ln -s nowhere made/x", "mkfifo made/x"]) {
    await rig.setStages({ a: { cmd: `mkdir made && ${make}`, outs: ["made/"] } });
    await rig.run();
    const { error } = rig.outcome("a") as Failed;
    assert.deepEqual([error.code, error.expected], ["BAD_OUT", true], make);
    assert.match(error.message, /made\//);
  }
});
