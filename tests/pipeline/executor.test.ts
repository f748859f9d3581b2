// Which stages run and which do not, and what a run says while it goes.

import assert from "node:assert/strict";
import { existsSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { test } from "vitest";
import { RunLog } from "../../src/store/run-log.ts";
import { copy, join, moduleText, PipelineRig, text } from "../rigs/pipeline-rig.ts";

const CHAIN = { a: copy("seed.txt"), b: copy("a"), c: copy("b"), other: text("apart") };

test("a stage whose input did not change is fresh", async () => {
  await using rig = await PipelineRig.create({ stages: CHAIN, files: { "seed.txt": "one" } });
  assert.deepEqual(await rig.run(), { a: "ran", b: "ran", c: "ran", other: "ran" });
  assert.equal(rig.output("c"), "one");
  await rig.write("unrelated.txt", "new");
  utimesSync(rig.file("seed.txt"), new Date(), new Date());
  assert.deepEqual(await rig.run(), { a: "fresh", b: "fresh", c: "fresh", other: "fresh" });
});

test("a changed input reruns what reads it, and changing it back runs nothing", async () => {
  await using rig = await PipelineRig.create({ stages: CHAIN, files: { "seed.txt": "one" } });
  await rig.run();
  await rig.write("seed.txt", "two");
  assert.deepEqual(await rig.run(), { a: "ran", b: "ran", c: "ran", other: "fresh" });
  assert.equal(rig.output("c"), "two");
  await rig.write("seed.txt", "one");
  assert.deepEqual(await rig.run(), { a: "cached", b: "cached", c: "cached", other: "fresh" });
  assert.equal(rig.output("c"), "one");
});

test("an edit with the same size and the same times is noticed", async () => {
  await using rig = await PipelineRig.create({ stages: CHAIN, files: { "seed.txt": "one" } });
  const when = new Date("2024-01-01T00:00:00Z");
  utimesSync(rig.file("seed.txt"), when, when);
  await rig.run();
  writeFileSync(rig.file("seed.txt"), "ONE");
  utimesSync(rig.file("seed.txt"), when, when);
  await rig.run();
  assert.equal(rig.output("c"), "ONE");
});

test("a stage that reruns and gives the same bytes leaves everything below fresh", async () => {
  const upper = { cmd: "tr a-z A-Z < seed.txt > out.txt", deps: ["seed.txt"], outs: ["out.txt"] };
  await using rig = await PipelineRig.create({ stages: { a: upper, b: copy("a") }, files: { "seed.txt": "one" } });
  await rig.run();
  await rig.write("seed.txt", "One");
  assert.deepEqual(await rig.run(), { a: "ran", b: "fresh" });
});

test("the dry run says what the run then does", async () => {
  await using rig = await PipelineRig.create({ stages: CHAIN, files: { "seed.txt": "one" } });
  assert.deepEqual(await rig.plan(), { a: "stale", b: "blocked", c: "blocked", other: "stale" });
  assert.equal(existsSync(rig.file("artifacts/actions")), false);
  await rig.run();
  assert.deepEqual(await rig.plan(), { a: "fresh", b: "fresh", c: "fresh", other: "fresh" });
});

test("a matrix runs one instance per cell, and a changed cell runs alone", async () => {
  const stages = (second: string) => ({
    cell: { use: "text", matrix: { word: ["x", second] }, params: { text: "${word}" } },
    all: join("cell[*]"),
  });
  await using rig = await PipelineRig.create({ stages: stages("y") });
  assert.deepEqual(await rig.run(), { "cell[word=x]": "ran", "cell[word=y]": "ran", all: "ran" });
  assert.equal(rig.output("all"), "xy");
  await rig.setStages(stages("z"));
  assert.deepEqual(await rig.run(), { "cell[word=x]": "fresh", "cell[word=z]": "ran", all: "ran" });
  assert.equal(rig.output("all"), "xz");
});

test("targets run alone with what they need", async () => {
  await using rig = await PipelineRig.create({ stages: CHAIN, files: { "seed.txt": "one" } });
  assert.deepEqual(await rig.run({ targets: ["b"] }), { a: "ran", b: "ran" });
  await assert.rejects(rig.run({ targets: ["bb"] }), { code: "UNKNOWN_TARGET", hint: /Did you mean "b"/ });
});

test("--force runs again, and only the targets", async () => {
  await using rig = await PipelineRig.create({ stages: CHAIN, files: { "seed.txt": "one" } });
  await rig.run();
  assert.deepEqual(await rig.run({ force: true, targets: ["b"] }), { a: "fresh", b: "ran" });
  assert.deepEqual(await rig.run({ force: true }), { a: "ran", b: "ran", c: "ran", other: "ran" });
});

test("progress, log lines and measures arrive while a stage runs; measures are kept in its record", async () => {
  const body = `
    log.info("hello"); log.warn("careful"); log.progress(1, 2, "steps", "loss 3"); log.measure("speed", 7);
    writeFileSync(outputs.out.path("deep/out.txt"), JSON.stringify([seed, threads > 0, device]));`;
  await using rig = await PipelineRig.create({
    stages: { talk: { use: "talk", seed: 5 } },
    files: { "stages/talk.ts": moduleText(body, { fields: "seeded: true," }) },
  });
  await rig.run();
  const seen = rig.events.map((event) => event.type);
  assert.deepEqual(seen, ["started", "log", "log", "progress", "measure", "ran"]);
  assert.equal(rig.output("talk", "deep/out.txt"), '[5,true,"cpu"]');
  const record = rig.store.listActions()[0]!;
  assert.deepEqual(record.provenance.measures, { speed: 7 });
  assert.match(rig.store.readBytes(record.provenance.log!).toString(), /hello\nwarning: careful/);
  assert.equal(existsSync(rig.workFolder("talk")), false);
});

test("hypotheses are registered in the log before the first stage runs, once per wording", async () => {
  const cells = (word: string) => ({ a: { ...text(`${word} \${n}`), matrix: { n: [1, 2] } } });
  const claim = (smallestEffect: number) => ({
    better: {
      claim: "x beats y.",
      treatment: { n: 1 },
      control: { n: 2 },
      metric: "m",
      direction: "lower",
      smallestEffect,
    },
  });
  await using rig = await PipelineRig.create({ stages: cells("1"), hypotheses: claim(0.1) });
  await rig.run();
  await rig.setStages(cells("2"), { hypotheses: claim(0.1) });
  await rig.run();
  await rig.setStages(cells("3"), { hypotheses: claim(0.2) });
  await rig.run();
  const log = new RunLog(rig.store);
  const kinds = log.readAll().map((entry) => entry.record["kind"]);
  const run = ["run", "stage", "stage", "run-end"];
  assert.deepEqual(kinds, ["registration", ...run, ...run, "registration", ...run]);
  assert.equal(log.verify(), undefined);
});

test("a run in which all is fresh writes nothing", async () => {
  await using rig = await PipelineRig.create({ stages: CHAIN, files: { "seed.txt": "one" } });
  await rig.run();
  await new Promise((done) => setTimeout(done, 60)); // past the file system's tick, so that the stamps are kept
  await rig.run();
  const state = () => rig.filesBelow("artifacts").map((file) => `${file} ${readFileSync(file).toString("base64")}`);
  const before = state();
  await rig.run();
  assert.deepEqual(state(), before);
});

test("a schema's transforms are applied once", async () => {
  const module = moduleText('writeFileSync(outputs.out.path("out.txt"), String(params.n));');
  await using rig = await PipelineRig.create({
    stages: { once: { use: "once", params: { n: 3 } } },
    files: {
      "stages/once.ts": module.replace("z.looseObject({})", "z.object({ n: z.number().transform((n) => n * 2) })"),
    },
  });
  await rig.run();
  assert.equal(rig.output("once"), "6");
});
