// kill -9 of everything at a random moment, again and again; then one more run. The bytes must be those of a run that
// nobody disturbed. And Ctrl-C, which is the polite way.

import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { CounterRandom, PURPOSE } from "../../src/util/philox.ts";
import { LabRig } from "../rigs/lab-rig.ts";
import { descendants, isAlive, killTree } from "../rigs/process-tree.ts";

const SEED = 20261123;
const KILLS = 10;
/** Longer training, so that many kills land inside it. */
const LONGER = ["--set", "train.steps=40", "--set", "train.checkpointEvery=3"];

test(`ten kills at random moments (seed ${SEED}) change no byte of the result`, async () => {
  using calm = LabRig.create();
  await calm.repro(...LONGER);
  using lab = LabRig.create();
  const random = new CounterRandom(SEED, PURPOSE.shuffle);
  for (let kills = 0, starts = 0; kills < KILLS; starts++) {
    const { child, ended } = lab.start(["repro", ...LONGER]);
    await sleep(200 + random.integer(starts, 2500));
    const hasEnded = child.exitCode !== null;
    killTree(child.pid!);
    await ended;
    // Nothing is left to kill: all over again.
    if (hasEnded) rmSync(lab.path("artifacts"), { recursive: true });
    else kills++;
  }
  await lab.repro(...LONGER);
  expect(lab.reports()).toEqual(calm.reports());
  expect((await lab.cli("audit")).code).toBe(0);
}, 300_000);

test("Ctrl-C stops the children, says how to continue, and the next run continues from the checkpoint", async () => {
  using lab = LabRig.create();
  const command = ["--jobs", "1", "--set", "train.steps=3000", "--set", "train.checkpointEvery=50"];
  const { child, ended } = lab.start(["repro", ...command]);
  while (child.exitCode === null && !lab.hasCheckpoint()) await sleep(20);
  const children = descendants(child.pid!);
  process.kill(child.pid!, "SIGINT");
  const result = await ended;
  expect(result.code).toBe(1);
  expect(result.stdout).toMatch(/Run the same command again to continue/);
  const skipped = /skipped (train\[\S+\]) {2}interrupted, continues from its work folder/.exec(result.stderr);
  expect(skipped).not.toBeNull();
  expect(result.stderr).toMatch(/skipped report {2}not started before the interruption/);
  expect(children.length).toBeGreaterThan(0);
  expect(children.filter(isAlive)).toEqual([]);
  const id = skipped![1]!;
  const next = await lab.cli("repro", id, "--json", ...command);
  expect(next).toMatchObject({ code: 0 });
  const { stages } = JSON.parse(next.stdout) as { stages: { id: string; measures?: Record<string, number> }[] };
  expect(stages.find((stage) => stage.id === id)!.measures!["resumed_from_step"]).toBeGreaterThanOrEqual(50);
}, 120_000);
