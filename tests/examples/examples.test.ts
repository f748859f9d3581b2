// The examples as a reader runs them, against the built package.

import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packageRoot } from "../../src/util/package-root.ts";
import { LabRig, withState } from "../rigs/lab-rig.ts";
import { snippets } from "./snippets.ts";

const run = promisify(execFile);

async function example(name: string, ...args: string[]): Promise<string> {
  const root = packageRoot();
  const command = ["--import", "tsx", path.join("examples", name), ...args];
  const { stdout } = await run(process.execPath, command, { cwd: root, timeout: 50_000 });
  return stdout;
}

test("01 learns its sentence by heart", async () => {
  const text = await example("01-train-a-tiny-model.mts");
  expect(text.trimEnd().split("\n").at(-1)).toBe("The quick brown fox jumps over the lazy dog.");
});

describe("in a lab that has trained a model", () => {
  let lab: LabRig;
  beforeAll(async () => {
    lab = LabRig.create();
    await lab.repro("train[model=wide,seed=1]");
  });
  afterAll(() => lab[Symbol.dispose]());

  test("02 prints one log-probability a token and continues the text", async () => {
    const latest = (...parts: string[]) => lab.path("artifacts", "latest", ...parts);
    const prompt = "The king said";
    const [model, tokenizer] = [latest("train.model=wide,seed=1"), latest("tokens", "tokenizer")];
    const text = await example("02-read-a-model.mts", model, tokenizer, prompt);
    const scored = [...text.matchAll(/^ +(-\d+\.\d{3}) {2}(".*")$/gm)];
    expect(scored.map(([, , token]) => JSON.parse(token!)).join("")).toBe(prompt);
    const nats = scored.reduce((sum, [, logProb]) => sum - Number(logProb), 0);
    const bitsPerByte = Number(/^(\S+) bits per byte$/m.exec(text)?.[1]);
    expect(bitsPerByte).toBeCloseTo(nats / Math.LN2 / prompt.length, 2);
    expect(text).toMatch(/^The king said./m);
  });

  test("the stage of docs/api.md lists the longest documents", async () => {
    mkdirSync(lab.path("stages"));
    lab.write("stages/longest.ts", snippets.get("A stage")!);
    const stage = "longest: { use: longest, inputs: { shards: shards }, params: { count: 3 } }";
    lab.edit("pipeline.yaml", "stages:\n", `stages:\n  ${stage}\n`);
    expect(withState(await lab.repro("longest"), "ran")).toEqual(["longest"]);
    const lengths: number[] = JSON.parse(lab.read("artifacts/latest/longest/longest.json"));
    expect(lengths).toHaveLength(3);
    expect(lengths).toEqual(lengths.toSorted((a, b) => b - a));
  });
});

test("03 runs a stage in TypeScript and one in shell, and reruns them for a changed parameter", async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-example-"));
  try {
    cpSync(path.join(packageRoot(), "examples", "03-a-lab-of-your-own"), folder, {
      recursive: true,
      filter: (file) => path.basename(file) !== "artifacts",
    });
    const lab = LabRig.open(folder);
    expect(withState(await lab.repro(), "ran")).toEqual(["corpus", "words", "top"]);
    expect(lab.read("artifacts/latest/top/top.txt")).toBe("garden (3)\nrain (3)\nsnail (3)\n");
    expect(withState(await lab.repro(), "fresh")).toEqual(["corpus", "words", "top"]);
    expect(withState(await lab.repro("--set", "words.minLength=6"), "ran")).toEqual(["words", "top"]);
    expect(lab.read("artifacts/latest/top/top.txt")).toBe("garden (3)\ncarried (1)\nnobody (1)\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("04 draws four mixes of one corpus, by weights and in stages, and says what each run saw", async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-example-"));
  try {
    const source = path.join(packageRoot(), "examples", "04-a-mix-and-a-curriculum");
    cpSync(source, folder, { recursive: true, filter: (file) => path.basename(file) !== "artifacts" });
    const lab = LabRig.open(folder);
    const runs = ["by-size", "even", "chosen", "curriculum"].map((mix) => `train[mix=${mix},seed=1]`);
    expect(withState(await lab.repro(), "ran")).toEqual(["corpus", "tokens", "shards", ...runs]);
    for (const run of runs) {
      const summary = lab.read(path.join("artifacts/latest", run.replace("[", ".").replace("]", ""), "summary.json"));
      const { sources, tokens } = JSON.parse(summary) as {
        sources: { name: string; tokens: number }[];
        tokens: number;
      };
      expect(sources.map(({ name }) => name)).toEqual(["wiki", "code", "chat", "stories"]);
      expect(sources.reduce((sum, source) => sum + source.tokens, 0)).toBe(tokens);
      if (run.includes("curriculum")) expect(sources[3]!.tokens).toBeGreaterThan(tokens / 2);
    }
    const misspelt = await lab.cli("repro", "--set", "mixes.chosen={ weights: { wikki: 1 } }");
    expect(misspelt.stderr + misspelt.stdout).toContain('Did you mean "wiki"?');
    expect((await lab.cli("repro", "--profile", "paper", "--dry-run")).code).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
