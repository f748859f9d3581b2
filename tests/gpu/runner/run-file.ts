// Runs one test file in this process and says how its tests ended: one line per failure, one line for all. The exit status is 1 where
// a test failed.

import { type File, startTests, type Task } from "@vitest/runner";
import "../../setup.ts";

const TIMEOUT_MS = 120_000;

/** `load` imports the file named `name`. */
export async function runFile(name: string, load: () => Promise<unknown>): Promise<void> {
  const started = performance.now();
  const runner = {
    config: {
      ...{ root: "/", name: undefined, setupFiles: [], passWithNoTests: false, testNamePattern: undefined },
      ...{ allowOnly: false, chaiConfig: undefined, maxConcurrency: 4, retry: 0, includeTaskLocation: false },
      ...{ testTimeout: TIMEOUT_MS, hookTimeout: TIMEOUT_MS, tags: [], tagsFilter: undefined, strictTags: false },
      sequence: { seed: 1, hooks: "stack" as const, setupFiles: "list" as const },
    },
    importFile: (_: string, source: string) => (source === "collect" ? load() : undefined),
  };
  const files: File[] = await startTests([{ filepath: `/${name}` }], runner);
  const tests = files.flatMap(testsOf);
  const failed = tests.filter(({ result }) => result?.state === "fail");
  for (const task of failed) {
    const error = task.result?.errors?.[0];
    console.log(`FAILED ${name}: ${pathOf(task)}\n  ${(error?.message ?? "").split("\n").slice(0, 8).join("\n  ")}`);
  }
  const broken = files.flatMap(suitesOf).flatMap(({ result }) => result?.errors ?? []);
  for (const error of broken) console.log(`FAILED ${name}: ${error.message}`);
  const passed = tests.filter(({ result }) => result?.state === "pass").length;
  const skipped = tests.length - passed - failed.length;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${name}: ${passed} passed, ${failed.length} failed, ${skipped} skipped (${seconds} s)`);
  process.exit(failed.length + broken.length > 0 ? 1 : 0);
}

function testsOf(task: Task): Task[] {
  return task.type === "suite" ? task.tasks.flatMap(testsOf) : [task];
}

function suitesOf(task: Task): Task[] {
  return task.type === "suite" ? [task, ...task.tasks.flatMap(suitesOf)] : [];
}

function pathOf(task: Task): string {
  return task.suite ? `${pathOf(task.suite)} > ${task.name}` : task.name;
}
