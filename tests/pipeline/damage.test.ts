// Objects and logs that are damaged or gone, and stages that give other bytes than before.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { test } from "vitest";
import type { Failed } from "../../src/pipeline/events.ts";
import { auditStore } from "../../src/store/audit.ts";
import { copy, moduleText, PipelineRig, text } from "../rigs/pipeline-rig.ts";

const CHAIN = { a: copy("seed.txt"), b: copy("a"), c: copy("b"), other: text("apart") };

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
