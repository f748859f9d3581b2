import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "vitest";
import type { Failed, Skipped } from "../../src/pipeline/events.ts";
import { auditStore } from "../../src/store/audit.ts";
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

test("a damaged log reruns nothing: the record says that it is lost, and the audit is clean again", async () => {
  await using rig = await PipelineRig.create({ stages: { a: text("one") } });
  await rig.run();
  const [record] = rig.store.listActions();
  const { log } = record!.provenance;
  rig.damage(rig.store.objectPath(log!), "other");
  assert.deepEqual(
    (await auditStore(rig.store)).findings.map(({ kind, digest }) => [kind, digest]),
    [["object-damaged", log]],
  );
  assert.deepEqual(await rig.run(), { a: "fresh" });
  const [mended] = rig.store.listActions();
  assert.deepEqual(mended!.outputs, record!.outputs);
  assert.equal(mended!.provenance.lostLog, log);
  assert.equal(mended!.provenance.log, undefined);
  assert.deepEqual((await auditStore(rig.store)).findings, []);
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

test("a damaged object is set aside and made again, with the same bytes", async () => {
  await using rig = await PipelineRig.create({ stages: CHAIN, files: { "seed.txt": "one" } });
  await rig.run();
  const before = rig.outcome("a");
  rig.damage(rig.objectsWith("one")[0]!, "0ne");
  assert.equal((await rig.plan())["a"], "stale");
  const states = await rig.run();
  assert.equal(states["a"], "ran");
  assert.equal(states["other"], "fresh");
  assert.deepEqual(
    "outputs" in before && before.outputs,
    (rig.outcome("a") as typeof before & object as { outputs: unknown }).outputs,
  );
  assert.equal(rig.output("c"), "one");
});

test("a deleted object is made again", async () => {
  await using rig = await PipelineRig.create({ stages: { a: text("gone"), b: text("stays") } });
  await rig.run();
  for (const file of rig.objectsWith("gone")) rmSync(file);
  assert.deepEqual(await rig.run(), { a: "ran", b: "fresh" });
});

test("--force runs again, and only the targets", async () => {
  await using rig = await PipelineRig.create({ stages: CHAIN, files: { "seed.txt": "one" } });
  await rig.run();
  assert.deepEqual(await rig.run({ force: true, targets: ["b"] }), { a: "fresh", b: "ran" });
  assert.deepEqual(await rig.run({ force: true }), { a: "ran", b: "ran", c: "ran", other: "ran" });
});

test("a bitwise stage that gives other bytes fails with both digests, and the first record stands", async () => {
  const body = "writeFileSync(outputs.out.path('out.txt'), String(process.hrtime.bigint()));";
  await using rig = await PipelineRig.create({
    stages: { clock: { use: "clock" } },
    files: { "stages/clock.ts": moduleText(body) },
  });
  await rig.run();
  const first = rig.output("clock");
  assert.deepEqual(await rig.run({ force: true }), { clock: "failed" });
  assert.equal((rig.outcome("clock") as Failed).error.code, "STAGE_DIVERGED");
  const divergent = rig.events.find((event) => event.type === "divergent");
  assert.ok(divergent?.type === "divergent" && divergent.kept === "recorded" && divergent.found !== divergent.recorded);
  assert.deepEqual(await rig.run(), { clock: "fresh" });
  assert.equal(rig.output("clock"), first);
});

test("an external stage that gives other bytes when forced replaces its record", async () => {
  const body = "writeFileSync(outputs.out.path('out.txt'), String(process.hrtime.bigint()));";
  await using rig = await PipelineRig.create({
    stages: { clock: { use: "clock" } },
    files: { "stages/clock.ts": moduleText(body).replace('"bitwise"', '"external"') },
  });
  await rig.run();
  const first = rig.output("clock");
  assert.deepEqual(await rig.run({ force: true }), { clock: "ran" });
  assert.notEqual(rig.output("clock"), first);
  assert.deepEqual(await rig.run(), { clock: "fresh" });
});

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

test("a report is copied to reports/, restored when deleted, and rid of files that it no longer has", async () => {
  const report = (files: string[]) => ({
    stages: { report: { use: "report", params: { files } } },
    files: {
      "stages/report.ts": moduleText(
        "for (const name of params.files) writeFileSync(outputs.report.path(name), name);",
      ).replace('outputs: { out: "files" }', 'outputs: { report: "report" }'),
    },
  });
  await using rig = await PipelineRig.create(report(["README.md", "figures/a.svg"]));
  await rig.run();
  assert.equal(readFileSync(rig.file("reports/figures/a.svg"), "utf8"), "figures/a.svg");
  await rig.write("reports/notes.txt", "mine");
  rmSync(rig.file("reports/README.md"));
  assert.deepEqual(await rig.run(), { report: "fresh" });
  assert.equal(readFileSync(rig.file("reports/README.md"), "utf8"), "README.md");
  await rig.setStages(report(["README.md"]).stages);
  await rig.run();
  assert.deepEqual(
    rig.filesBelow("reports").map((file) => path.relative(rig.root, file)),
    ["reports/README.md", "reports/notes.txt"],
  );
});

test("what stands in the place of reports/ or of a report's file is told, and left where it is", async () => {
  await using rig = await PipelineRig.create({
    stages: { report: { use: "report" } },
    files: {
      reports: "a file",
      "stages/report.ts": moduleText('writeFileSync(outputs.report.path("README.md"), "x");').replace(
        'outputs: { out: "files" }',
        'outputs: { report: "report" }',
      ),
    },
  });
  await assert.rejects(rig.run(), { code: "REPORTS_BLOCKED", message: /reports: a file or folder of another kind/ });
  rmSync(rig.file("reports"));
  await rig.write("reports/README.md/notes.txt", "mine");
  await assert.rejects(rig.run(), { code: "REPORTS_BLOCKED" });
  assert.equal(readFileSync(rig.file("reports/README.md/notes.txt"), "utf8"), "mine");
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
