// kill -9 of everything at a random moment, again and again; then one more run. The bytes must be those of a run that
// nobody disturbed. And Ctrl-C, which is the polite way.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { CounterRandom, PURPOSE } from "../../src/util/philox.ts";
import { LabRig, withState } from "../rigs/lab-rig.ts";
import { descendants } from "../rigs/process-tree.ts";

const SEED = 20261123;
const KILLS = 10;
/** Longer training, so that many kills land inside it. */
const LONGER = ["--set", "train.steps=40", "--set", "train.checkpointEvery=3"];

/** Zombies, which only wait for their exit to be noticed, do not count. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

test(`ten kills at random moments (seed ${SEED}) change no byte of the result`, async () => {
  using calm = LabRig.create();
  await calm.repro(...LONGER);
  using lab = LabRig.create();
  const random = new CounterRandom(SEED, PURPOSE.shuffle);
  for (let kill = 0; kill < KILLS; kill++) {
    const { child, ended } = lab.start(["repro", ...LONGER]);
    await sleep(300 + random.integer(kill, 3500));
    const pids = child.exitCode === null ? [child.pid!, ...descendants(child.pid!)] : [];
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself in the meantime.
      }
    }
    await ended;
  }
  await lab.repro(...LONGER);
  expect(lab.reports()).toEqual(calm.reports());
  expect((await lab.cli("audit")).code).toBe(0);
}, 240_000);

test("Ctrl-C stops the children, says how to continue, and the next run continues", async () => {
  using lab = LabRig.create();
  const { child, ended, errorText } = lab.start([
    "repro",
    "--jobs",
    "1",
    "--set",
    "train.steps=4000",
    "--set",
    "train.checkpointEvery=50",
  ]);
  await sleep(500);
  for (let waited = 0; waited < 300 && !errorText().includes("start   train["); waited++) await sleep(100);
  await sleep(1500);
  const children = descendants(child.pid!);
  process.kill(child.pid!, "SIGINT");
  const result = await ended;
  expect(result.code).toBe(1);
  expect(result.stdout).toMatch(/Run the same command again to continue/);
  expect(result.stderr).toMatch(/skipped train\[model=\w+,seed=\d\] {2}interrupted, continues from its work folder/);
  expect(result.stderr).toMatch(/skipped report {2}not started before the interruption/);
  expect(children.length).toBeGreaterThan(0);
  expect(children.filter(isAlive)).toEqual([]);
  const states = await lab.repro("--set", "train.steps=40");
  expect(withState(states, "failed", "skipped")).toEqual([]);
}, 120_000);
