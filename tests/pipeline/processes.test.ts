import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "vitest";
import { RunLog } from "../../src/store/run-log.ts";
import { copy, moduleText, PipelineRig } from "../rigs/pipeline-rig.ts";
import { isAlive } from "../rigs/process-tree.ts";

/** Counts to ten, keeping its place in the work folder; says its process id; obeys the signal; at five waits for the gate. */
const COUNTER = moduleText(
  `
    const file = path.join(work, "count");
    for (let n = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0; n < 10; n++) {
      signal.throwIfAborted();
      writeFileSync(file, String(n));
      appendFileSync(params.trace, process.pid + " " + n + "\\n");
      log.progress(n, 10, "steps");
      while (n === 5 && !existsSync(params.gate)) {
        signal.throwIfAborted();
        await sleep(20);
      }
      writeFileSync(outputs.out.path("out.txt"), "partial " + n);
      await sleep(60);
    }
    writeFileSync(outputs.out.path("out.txt"), "counted");`,
  {
    head: 'import path from "node:path";\nimport { existsSync } from "node:fs";\nimport { setTimeout as sleep } from "node:timers/promises";\n',
  },
);

async function counting(): Promise<PipelineRig> {
  const rig = await PipelineRig.create({ stages: {}, files: { "stages/count.ts": COUNTER } });
  const params = { trace: rig.file("trace.txt"), gate: rig.file("gate") };
  await rig.setStages({ count: { use: "count", params }, below: copy("count") });
  return rig;
}

/** Lets the counter pass five. */
function openGate(rig: PipelineRig): Promise<void> {
  return rig.write("gate", "");
}

function trace(rig: PipelineRig): { pid: number; step: number }[] {
  if (!existsSync(rig.file("trace.txt"))) return [];
  const lines = readFileSync(rig.file("trace.txt"), "utf8").trim().split("\n");
  return lines.map((line) => ({ pid: Number(line.split(" ")[0]), step: Number(line.split(" ")[1]) }));
}

/** Waits at most twenty seconds: a busy machine is slow to kill. */
async function ends(pid: number): Promise<boolean> {
  for (let waited = 0; waited < 20_000 && isAlive(pid); waited += 20) await sleep(20);
  return !isAlive(pid);
}

test("when the executor is killed its stages die, and the next run goes on from their checkpoint", async () => {
  await using rig = await counting();
  const first = rig.spawn();
  await first.until((event) => event.type === "progress" && event.done >= 3);
  first.signal("SIGKILL");
  const { pid } = trace(rig).at(-1)!;
  assert.ok(await ends(pid), "the stage outlived its executor");
  assert.deepEqual(rig.store.listActions(), []);
  assert.deepEqual(rig.objectsWith("counted"), []);
  const reached = trace(rig).at(-1)!.step;
  await openGate(rig);
  assert.deepEqual(await rig.run(), { count: "ran", below: "ran" });
  assert.equal(rig.output("below"), "counted");
  const resumed = trace(rig).filter((line) => line.pid !== pid);
  assert.equal(resumed[0]!.step, reached);
  assert.equal(new RunLog(rig.store).verify(), undefined);
});

test("a stage that computes without a pause dies with its executor too", async () => {
  const body = "writeFileSync(params.trace, process.pid + ' 0\\n'); log.info('busy'); for (;;) {}";
  await using rig = await PipelineRig.create({ stages: {}, files: { "stages/busy.ts": moduleText(body) } });
  await rig.setStages({ busy: { use: "busy", params: { trace: rig.file("trace.txt") } } });
  const run = rig.spawn();
  await run.until((event) => event.type === "log");
  run.signal("SIGKILL");
  assert.ok(await ends(trace(rig)[0]!.pid));
});

test("a command dies with its executor", async () => {
  await using rig = await PipelineRig.create({ stages: {} });
  const file = rig.file("trace.txt");
  await rig.setStages({ shell: { cmd: `(sleep 30 & echo $! 0 > ${file}; wait)`, outs: ["x"] } });
  const run = rig.spawn();
  await run.until((event) => event.type === "started");
  for (let waited = 0; waited < 20_000 && trace(rig).length === 0; waited += 20) await sleep(20);
  run.signal("SIGKILL");
  assert.ok(await ends(trace(rig)[0]!.pid));
});

test("a killed stage is a failure that says how it ended", async () => {
  const body = "process.kill(process.pid, 'SIGKILL'); await new Promise(() => {});";
  await using rig = await PipelineRig.create({
    stages: { dies: { use: "dies" } },
    files: { "stages/dies.ts": moduleText(body) },
  });
  assert.deepEqual(await rig.run(), { dies: "failed" });
  const outcome = rig.outcome("dies");
  assert.ok(outcome.type === "failed" && outcome.error.code === "STAGE_KILLED");
  assert.match(outcome.error.message, /SIGKILL/);
});

test("two runs at once execute a stage once, and both have its result", async () => {
  await using rig = await counting();
  const first = rig.spawn();
  await first.until((event) => event.type === "started");
  const second = rig.spawn();
  await second.until((event) => event.type === "waiting" && event.id === "count");
  await openGate(rig);
  assert.deepEqual(await Promise.all([first.ended, second.ended]), [0, 0]);
  assert.equal(trace(rig).filter((line) => line.step === 0).length, 1);
  const states = [first.states(), second.states()].map(({ count }) => count).sort();
  assert.deepEqual(states, ["cached", "ran"]);
});

test("Ctrl-C asks running stages to stop, releases their leases, and the next run goes on", async () => {
  await using rig = await counting();
  const run = rig.spawn();
  await run.until((event) => event.type === "progress" && event.done >= 2);
  run.signal("SIGINT");
  assert.equal(await run.ended, 1);
  assert.deepEqual(run.states(), { count: "skipped", below: "skipped" });
  const skipped = run.events.filter((event) => event.type === "skipped");
  assert.deepEqual(
    skipped.map(({ id, reason }) => [id, reason]),
    [
      ["count", { kind: "interrupted", wasRunning: true }],
      ["below", { kind: "interrupted", wasRunning: false }],
    ],
  );
  assert.deepEqual(rig.filesBelow("artifacts/tmp"), []);
  const { pid, step } = trace(rig).at(-1)!;
  await openGate(rig);
  assert.deepEqual(await rig.run(), { count: "ran", below: "ran" });
  assert.equal(trace(rig).find((line) => line.pid !== pid)!.step, step);
});

test("a stage that ignores the request to stop is killed after the grace", async () => {
  const body =
    "log.info('deaf'); process.removeAllListeners('SIGTERM'); process.on('SIGTERM', () => {}); await new Promise((done) => setTimeout(done, 60_000));";
  await using rig = await PipelineRig.create({
    stages: { deaf: { use: "deaf" } },
    files: { "stages/deaf.ts": moduleText(body) },
  });
  const run = rig.spawn();
  await run.until((event) => event.type === "log");
  run.signal("SIGINT");
  assert.equal(await run.ended, 1);
  assert.deepEqual(run.states(), { deaf: "skipped" });
});

test("stages that do not need each other run at the same time", async () => {
  const body = `
    writeFileSync(path.join(params.folder, String(params.n)), "here");
    for (let waited = 0; readdirSync(params.folder).length < 2; waited += 20) {
      if (waited > 30_000) throw new Error("the other one never came");
      await new Promise((done) => setTimeout(done, 20));
    }
    writeFileSync(outputs.out.path("out.txt"), "met");`;
  const head = 'import path from "node:path";\nimport { readdirSync } from "node:fs";\n';
  await using rig = await PipelineRig.create({
    stages: {},
    files: { "stages/meet.ts": moduleText(body, { head }) },
  });
  const folder = rig.file("place");
  mkdirSync(folder);
  await rig.setStages({ meet: { use: "meet", matrix: { n: [1, 2] }, params: { n: "${n}", folder } } });
  assert.deepEqual(await rig.run({ jobs: 2 }), { "meet[n=1]": "ran", "meet[n=2]": "ran" });
});
