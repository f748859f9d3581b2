// The whole DAG on a few kilobytes of text, through the compiled command line.

import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { printable } from "../../src/cli/output.ts";
import { LabRig, withState } from "../rigs/lab-rig.ts";

// Whole runs, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

let lab: LabRig;
let first: Record<string, string>;
let reports: Record<string, string>;

beforeAll(async () => {
  lab = LabRig.create();
  first = await lab.repro();
  reports = lab.reports();
}, 180_000);

afterAll(() => lab[Symbol.dispose]());

describe("a small lab", () => {
  test("runs every stage and writes the report", () => {
    expect(withState(first, "ran")).toHaveLength(15);
    expect(Object.keys(reports)).toContain("README.md");
    const text = lab.read("reports/README.md");
    expect(text).toContain("wide-is-better");
    expect(text).toMatch(/Table 1/);
    expect(text).toMatch(/Table 2/);
  });

  test("runs nothing the second time", async () => {
    const states = await lab.repro();
    expect(withState(states, "fresh")).toHaveLength(15);
  });

  test("gives the same report, byte for byte, from an empty store", async () => {
    using other = LabRig.create();
    await other.repro("--jobs", "1");
    expect(other.reports()).toEqual(reports);
  });

  test("restores reports/ without running a stage", async () => {
    rmSync(lab.path("reports"), { recursive: true });
    const states = await lab.repro();
    expect(withState(states, "ran")).toEqual([]);
    expect(lab.reports()).toEqual(reports);
  });

  test("every hash that the report prints is one that audit resolves", async () => {
    const hashes = [...new Set(lab.read("reports/README.md").match(/\b[0-9a-f]{12}\b/g))];
    expect(hashes.length).toBeGreaterThan(5);
    for (const hash of hashes) {
      const result = await lab.cli("audit", hash);
      expect(result, hash).toMatchObject({ code: 0 });
      expect(result.stdout).toContain("made by");
    }
  });

  test("from a number's hash audit leads to code, inputs, parameters, seed and machine", async () => {
    const [, hash] = /^\| wide .*`([0-9a-f]{12})`/m.exec(lab.read("reports/README.md"))!; // table 1: a model
    const { stdout } = await lab.cli("audit", hash!);
    expect(stdout).toMatch(/^made by +train\[model=wide,seed=2\] +model +key [0-9a-f]{12}/m);
    expect(stdout).toMatch(/^ +code +bundle [0-9a-f]{12}, \d+ native sources, .*zod \d/m);
    expect(stdout).toMatch(/^ +input shards +[0-9a-f]{12} +shards$/m);
    expect(stdout).toMatch(/^ +params +\{.*"steps":8,/m);
    expect(stdout).toMatch(/^ +seed +2$/m);
    expect(stdout).toMatch(/^ +machine +.*, (cpu|reference)-\w+, node\d+$/m);
    expect(stdout).toMatch(/^fed +evaluate\[model=wide,seed=2\]/m);
    const number = await lab.cli("audit", "results/wide/val_bits_per_byte");
    expect(number.stdout).toMatch(/^results\/wide\/val_bits_per_byte is \d\.\d{4}.* and rests on:$/m);
    expect(number.stdout.match(/^made by +evaluate\[model=wide,seed=[12]\]/gm)).toHaveLength(2);
    const other = await lab.cli("audit", "results/wide/val_bits_per_bite");
    expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining('"results/wide/val_bits_per_byte"?') });
  });

  test("reruns only what a changed model touches, and nothing once it is changed back", async () => {
    lab.edit("pipeline.yaml", "ffnDim: 48", "ffnDim: 40");
    const changed = await lab.repro();
    expect(withState(changed, "ran").sort()).toEqual([
      "evaluate[model=flat,seed=1]",
      "evaluate[model=flat,seed=2]",
      "report",
      "train[model=flat,seed=1]",
      "train[model=flat,seed=2]",
    ]);
    expect(lab.reports()).not.toEqual(reports);
    lab.edit("pipeline.yaml", "ffnDim: 40", "ffnDim: 48");
    const back = await lab.repro();
    expect(withState(back, "ran")).toEqual([]);
    expect(lab.reports()).toEqual(reports);
  });

  test("why names the field that differs, with the old and the new value", async () => {
    const { stdout, code } = await lab.cli("why", "train[model=wide,seed=1]", "--set", "train.steps=10");
    expect(code).toBe(0);
    expect(stdout).toMatch(/params\.steps\b.*\b8\b.*\b10\b/);
  });

  test("audit names a damaged object and what it fed; repro makes it again", async () => {
    const [, file] = largestObject(lab);
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1]! ^= 1;
    const { mode } = statSync(file);
    chmodSync(file, 0o644);
    writeFileSync(file, bytes);
    chmodSync(file, mode);
    const audit = await lab.cli("audit");
    expect(audit.code).toBe(3);
    expect(audit.stdout).toContain(path.basename(file));
    expect(audit.stdout).toContain("fed into");
    const states = await lab.repro();
    expect(withState(states, "ran").length).toBeGreaterThan(0);
    expect(lab.reports()).toEqual(reports);
    expect((await lab.cli("audit")).code).toBe(0);
  });

  test("audit names a report that was edited by hand", async () => {
    const [name] = Object.keys(reports).filter((file) => file.endsWith(".md"));
    writeFileSync(lab.path("reports", name!), `${lab.read(`reports/${name}`)}and more`);
    const audit = await lab.cli("audit");
    expect(audit.code).toBe(3);
    expect(audit.stdout).toMatch(/^report-edited\n.*\.md$/m);
    await lab.repro();
    expect(await lab.cli("audit")).toMatchObject({ code: 0 });
  });

  test("status, dag, runs, show, report and sample answer for it", async () => {
    expect((await lab.cli("status")).stdout).toContain("15 stages: 15 fresh.");
    expect((await lab.cli("dag", "--format", "mermaid")).stdout).toContain('["train x 4"]');
    const runs = JSON.parse((await lab.cli("runs", "--json", "--last", "0")).stdout) as { chain: string };
    expect(runs.chain).toBe("whole");
    expect((await lab.cli("show", "train[model=wide,seed=1]")).stdout).toContain("tokens_per_second");
    expect((await lab.cli("show", "train[model=wide]")).stderr).toContain("train[model=wide,seed=2]");
    expect((await lab.cli("audit", "report[*]")).stdout).toContain("bytes verified");
    expect((await lab.cli("runs")).stdout).toMatch(/run-end .*15 ran/);
    const other = await lab.cli("sample", "train[model=wide,seed=1]", "--set", "train.steps=10");
    expect(other.stderr).toMatch(/ran with others: .*params\.steps/);
    expect((await lab.cli("report")).code).toBe(0);
    const sample = ["sample", "train[model=wide,seed=1]", "Once upon\u0007", "--tokens", "8"];
    const [one, two] = [await lab.cli(...sample, "--json"), await lab.cli(...sample)];
    expect([one.code, two.code]).toEqual([0, 0]);
    const { prompt, text } = JSON.parse(one.stdout) as { prompt: string; text: string };
    expect(prompt).toBe("Once upon\u0007");
    expect(two.stdout).toBe(`Once upon\\u{7}${printable(text)}\n`);
  });

  test("its shards can be looked into and taken out, and its data sets are known by name", async () => {
    const [shown] = JSON.parse((await lab.cli("inspect", "shards", "-n", "1", "--json")).stdout);
    const texts = lab.read("texts/stories.jsonl").trim().split("\n");
    expect(texts.map((line) => JSON.parse(line).text)).toContain(shown.text);
    const exported = await lab.cli("export", "evaluate[model=wide,seed=1]", "--to", "arrow", "--json");
    expect(JSON.parse(exported.stdout)).toMatchObject({ file: "evaluate-model-wide-seed-1.arrow" });
    expect(statSync(lab.path("evaluate-model-wide-seed-1.arrow")).size).toBeGreaterThan(1000);
    expect(await lab.cli("export", "shards")).toMatchObject({ code: 2, stderr: expect.stringContaining("--to") });
    expect(await lab.cli("datasets", "show", "bundled-storys")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Did you mean "bundled-stories"?'),
    });
  });
});

/** The largest object that is no log: weights, in practice. */
function largestObject(rig: LabRig): [number, string] {
  const root = rig.path("artifacts", "objects");
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  return files.map((file): [number, string] => [statSync(file).size, file]).sort((a, b) => b[0] - a[0])[0]!;
}
