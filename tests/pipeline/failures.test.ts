// What a stage that fails leaves behind, what is then not run, and from where the next attempt goes on.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { test } from "vitest";
import type { Failed, Skipped } from "../../src/pipeline/events.ts";
import { RunLog } from "../../src/store/run-log.ts";
import { copy, moduleText, PipelineRig, text } from "../rigs/pipeline-rig.ts";

test("a failed stage names its log, leaves nothing that looks finished, and stops what has not begun", async () => {
  const half =
    "writeFileSync(outputs.out.path('out.txt'), 'half'); console.log('last words'); throw new Error('broken');";
  await using rig = await PipelineRig.create({
    stages: { bad: { use: "bad" }, below: copy("bad"), later: text("later") },
    files: { "stages/bad.ts": moduleText(half) },
  });
  assert.deepEqual(await rig.run({ jobs: 1 }), { bad: "failed", below: "skipped", later: "skipped" });
  const failed = rig.outcome("bad") as Failed;
  assert.equal(failed.error.message, "broken");
  assert.equal(failed.error.expected, false);
  assert.match(readFileSync(failed.log!, "utf8"), /last words[\s\S]*Error: broken/);
  assert.ok(failed.lastLines.includes("last words"));
  assert.deepEqual(rig.objectsWith("half"), []);
  assert.deepEqual(rig.store.listActions(), []);
  assert.deepEqual(rig.filesBelow("artifacts/tmp"), []);
  const log = new RunLog(rig.store).readAll().map((entry) => `${entry.record["kind"]} ${entry.record["state"] ?? ""}`);
  assert.deepEqual(log, ["run ", "stage failed", "run-end "]);
});

test("--keep-going runs what does not depend on the failure", async () => {
  await using rig = await PipelineRig.create({
    stages: { bad: { cmd: "exit 3", outs: ["x"] }, below: copy("bad"), later: text("later"), last: copy("later") },
  });
  assert.deepEqual(await rig.run({ jobs: 1, keepGoing: true }), {
    bad: "failed",
    below: "skipped",
    later: "ran",
    last: "ran",
  });
  assert.match((rig.outcome("bad") as Failed).error.message, /exit code 3: exit 3/);
  assert.deepEqual(rig.outcome("below"), {
    type: "skipped",
    id: "below",
    reason: { kind: "upstream-failed", stages: ["bad"] },
  });
});

test("what is skipped names the stages that failed, not those in between", async () => {
  await using rig = await PipelineRig.create({
    stages: {
      bad: { cmd: "exit 3", outs: ["x"] },
      below: copy("bad"),
      lower: copy("below"),
      both: { cmd: "true", inputs: { lower: "lower", bad: "bad" }, outs: ["x"] },
    },
  });
  await rig.run({ jobs: 1, keepGoing: true });
  const skipped = ["below", "lower", "both"].map((id) => rig.outcome(id) as Skipped);
  assert.deepEqual(
    skipped.map(({ reason }) => reason),
    ["below", "lower", "both"].map(() => ({ kind: "upstream-failed", stages: ["bad"] })),
  );
});

test("what a stage throws as a UserError arrives with its code, place and hint", async () => {
  const body = `throw Object.assign(new Error("No such town."), { name: "UserError", code: "NO_TOWN", hint: "Try another.", where: { file: "map.txt", line: 3 } });`;
  await using rig = await PipelineRig.create({
    stages: { bad: { use: "bad" } },
    files: { "stages/bad.ts": moduleText(body) },
  });
  await rig.run();
  assert.deepEqual((rig.outcome("bad") as Failed).error, {
    message: "No such town.",
    code: "NO_TOWN",
    where: { file: "map.txt", line: 3 },
    hint: "Try another.",
    expected: true,
  });
});

test("an output that stays empty is a failure", async () => {
  await using rig = await PipelineRig.create({
    stages: { lazy: { use: "lazy" } },
    files: { "stages/lazy.ts": moduleText("await 0;") },
  });
  assert.deepEqual(await rig.run(), { lazy: "failed" });
  assert.equal((rig.outcome("lazy") as Failed).error.code, "EMPTY_OUTPUT");
});

test("what a killed run left half-written is swept away by the next run, not by a plan", async () => {
  await using rig = await PipelineRig.create({ stages: { a: text("one") } });
  await rig.run();
  const gone = spawnSync(process.execPath, ["-e", ""]).pid;
  const [mine] = [rig.store.stagingFolder("a")].map((folder) => path.basename(folder));
  const left = rig.file("artifacts/tmp", mine!.replace(String(process.pid), String(gone)));
  renameSync(rig.file("artifacts/tmp", mine!), left);
  await rig.plan();
  assert.ok(existsSync(left));
  assert.deepEqual(await rig.run(), { a: "fresh" });
  assert.ok(!existsSync(left));
});

test("a stage goes on from its work folder after a failure", async () => {
  const body = `
    mkdirSync(work, { recursive: true });
    const file = path.join(work, "steps");
    appendFileSync(file, "x");
    if (readFileSync(file, "utf8").length < 3) throw new Error("not yet");
    writeFileSync(outputs.out.path("out.txt"), readFileSync(file));`;
  const head = 'import path from "node:path";\nimport { mkdirSync } from "node:fs";\n';
  await using rig = await PipelineRig.create({
    stages: { slow: { use: "slow" } },
    files: { "stages/slow.ts": moduleText(body, { head }) },
  });
  assert.deepEqual(await rig.run(), { slow: "failed" });
  assert.deepEqual(await rig.run(), { slow: "failed" });
  assert.deepEqual(await rig.run(), { slow: "ran" });
  assert.equal(rig.output("slow"), "xxx");
  assert.equal(rig.store.listActions()[0]!.provenance.attempt, 3);
});

test("--force begins in an empty work folder, goes on from a forced attempt that failed, and not from one that diverged", async () => {
  const body = `
    const seen = existsSync(path.join(work, "mark"));
    writeFileSync(path.join(work, "mark"), "");
    if (existsSync(params.fail)) throw new Error("asked to fail");
    log.info(seen ? "went on" : "began");
    writeFileSync(outputs.out.path("out.txt"), String(process.hrtime.bigint()));`;
  const head = 'import path from "node:path";\nimport { existsSync } from "node:fs";\n';
  await using rig = await PipelineRig.create({ stages: {}, files: { "stages/clock.ts": moduleText(body, { head }) } });
  await rig.setStages({ clock: { use: "clock", params: { fail: rig.file("fail") } } });
  const said = () => rig.events.flatMap((event) => (event.type === "log" ? [event.message] : []));
  await rig.run();
  for (const _ of ["after a success", "after a divergence"]) {
    assert.deepEqual(await rig.run({ force: true }), { clock: "failed" });
    assert.equal((rig.outcome("clock") as Failed).error.code, "STAGE_DIVERGED");
    assert.ok(existsSync((rig.outcome("clock") as Failed).log!));
    assert.deepEqual(said(), ["began"]);
  }
  await rig.write("fail", "");
  await rig.run({ force: true });
  rmSync(rig.file("fail"));
  await rig.run({ force: true });
  assert.deepEqual(said(), ["went on"]);
});

test("a native source that is edited while a stage runs or waits fails it, and nothing is recorded", async () => {
  const source = "int one(void) { return 1; }\n";
  const body = 'writeFileSync("SOURCE", params.edit); writeFileSync(outputs.out.path("out.txt"), "x");';
  await using rig = await PipelineRig.create({ stages: {}, files: { "stages/one.c": source } });
  await rig.write("stages/native.ts", moduleText(body.replace('"SOURCE"', JSON.stringify(rig.file("stages/one.c")))));
  await rig.setStages({ native: { use: "native", params: { edit: "int one(void) { return 2; }\n" } } });
  const pipeline = await rig.pipeline();
  for (const when of ["during the stage", "before it starts"]) {
    assert.deepEqual(await rig.run({ pipeline }), { native: "failed" }, when);
    assert.equal((rig.outcome("native") as Failed).error.code, "FILES_CHANGED", when);
    assert.deepEqual(rig.store.listActions(), []);
  }
  assert.deepEqual(await rig.run(), { native: "ran" });
});
