// What `npm pack` makes, installed into an empty folder without running anyone's install scripts.

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packageRoot, packageVersion } from "../../src/util/package-root.ts";
import { LabRig } from "../rigs/lab-rig.ts";

const run = promisify(execFile);
const root = packageRoot();
const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-tarball-"));
const MAX_PACKED_BYTES = 6_000_000;
const POSTINSTALL = "scripts/compile-native.mjs";

let files: readonly string[];
let packedBytes: number;
/** Why nothing could be installed. */
let notInstalled: string | undefined;

beforeAll(async () => {
  const { stdout } = await npm(root, "pack", "--ignore-scripts", "--json", "--pack-destination", folder);
  const [packed] = JSON.parse(stdout) as [{ size: number; files: { path: string }[] }];
  files = packed.files.map((file) => file.path);
  packedBytes = packed.size;
  notInstalled = await npm(folder, "view", "zod", "version", "--fetch-retries=0", "--fetch-timeout=5000").then(
    () => undefined,
    (error: Error) => `the npm registry cannot be reached: ${error.message.split("\n").at(-1)}`,
  );
  if (notInstalled !== undefined) return;
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ private: true }));
  const tarball = `./stlm-pipeline-${packageVersion()}.tgz`;
  await npm(folder, "install", tarball, "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline");
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function npm(cwd: string, ...args: string[]) {
  return run("npm", args, { cwd, maxBuffer: 1 << 24 });
}

/** The installed command line, with the environment of a shell and not that of this repository. */
function cli(cwd: string, ...args: string[]) {
  const command = path.join(folder, "node_modules", ".bin", "stlm-pipeline");
  const { PATH, HOME } = process.env;
  return run(command, args, { cwd, env: { PATH, HOME, NO_COLOR: "1" } });
}

test("the tarball has what a lab needs and nothing of our own workshop", () => {
  for (const name of [
    ...["package.json", "README.md", "LICENSE", "NOTICE", "pipeline.yaml", "schema/pipeline.schema.json"],
    ...["dist/src/cli/main.js", "dist/src/index.d.ts", "dist/src/models/index.js", "docs/api.md"],
    ...["src/pipeline/stage.ts", "src/backend/cpu/kernels.c", "stages/train.ts", "assets/data/stories.jsonl.gz"],
    POSTINSTALL,
  ]) {
    expect(files).toContain(name);
  }
  const foreign = files.filter(
    (name) => /^(tests|bench|artifacts|reports|scripts|node_modules|\.)/.test(name) && name !== POSTINSTALL,
  );
  expect(foreign).toEqual([]);
  expect(packedBytes).toBeLessThan(MAX_PACKED_BYTES);
});

test("its install script compiles the native library into the user's cache, and lets a broken compiler be", async ({
  skip,
}) => {
  if (notInstalled !== undefined) skip(notInstalled);
  const script = path.join(folder, "node_modules", "stlm-pipeline", POSTINSTALL);
  const compiler = path.join(folder, "cc");
  const install = async (name: string, program: string) => {
    writeFileSync(compiler, `#!/bin/sh\n${program}\n`, { mode: 0o755 });
    const cache = path.join(folder, name);
    await run(process.execPath, [script], { cwd: folder, env: { CC: compiler, XDG_CACHE_HOME: cache, PATH: "/bin" } });
    return readdirSync(path.join(cache, "stlm-pipeline"));
  };
  const writesOutput = '[ "$1" = --version ] && echo cc 1 && exit; while [ "$1" != -o ]; do shift; done; : > "$2"';
  const compiled = await install("cache", writesOutput);
  for (const name of compiled) expect(name).toMatch(/^cpu-\w+-[0-9a-f]{32}\.so$/);
  expect(compiled.length).toBeGreaterThan(0);
  expect(await install("empty", '[ "$1" = --version ] && echo cc 2 && exit; exit 1')).toEqual([]);
});

test("installed into an empty folder, it makes a lab and plans it", async ({ skip }) => {
  if (notInstalled !== undefined) skip(notInstalled);
  await cli(folder, "init", "lab");
  const lab = path.join(folder, "lab");
  expect(existsSync(path.join(lab, "pipeline.yaml"))).toBe(true);
  const { stdout } = await cli(lab, "repro", "--dry-run");
  expect(stdout).toContain("train[model=dropout-free,seed=2]");
  expect(stdout).toMatch(/^\d+ stages: 2 would run, \d+ wait for those\.$/m);
});

test("installed into an empty folder, it runs a lab from texts to a report", async ({ skip }) => {
  if (notInstalled !== undefined) skip(notInstalled);
  const lab = LabRig.create({ folder: path.join(folder, "small") });
  const only = ["train.matrix={model: [wide], seed: [1]}", "evaluate.matrix={model: [wide], seed: [1]}"];
  const settings = [
    ...only.map((text) => `stages.${text}`),
    "stages.controls.matrix.control=[unigram]",
    "hypotheses={}",
  ];
  const { stdout } = await cli(lab.folder, "repro", ...settings.flatMap((text) => ["--set", text]));
  expect(stdout).toMatch(/^8 stages: 8 ran in /m);
  expect(lab.read("reports/README.md")).toMatch(/^1 training run of 1 model, none of them diverged\. /m);
}, 180_000);

test("installed into an empty folder, its own check of the machine finds nothing missing", async ({ skip }) => {
  if (notInstalled !== undefined) skip(notInstalled);
  const { stdout } = await cli(folder, "doctor", "--json");
  const { findings } = JSON.parse(stdout) as { findings: { what: string; verdict: string }[] };
  expect(findings.filter(({ verdict }) => verdict === "missing")).toEqual([]);
  expect(findings.map(({ what }) => what)).toEqual(expect.arrayContaining(["cpu device", "DuckDB", "esbuild"]));
});

test("every entry point imports with its types", async ({ skip }) => {
  if (notInstalled !== undefined) skip(notInstalled);
  const program = `
    import { defineStage, z } from "stlm-pipeline";
    import { openBackend } from "stlm-pipeline/backend";
    import { type Tokenizer, makeTokenizer } from "stlm-pipeline/data";
    import { perplexityOf } from "stlm-pipeline/eval";
    import { countParameters, presets } from "stlm-pipeline/models";
    import { Linear } from "stlm-pipeline/nn";
    import { ops, withTape } from "stlm-pipeline/tensor";
    import { Trainer } from "stlm-pipeline/train";
    const tokenizer: Tokenizer = await makeTokenizer("bytes", { documents: [] });
    const count: number = countParameters(presets["stlm-50m"].config);
    type IsAny<T> = 0 extends 1 & T ? true : false; // what a name without declarations would be
    const typed: IsAny<typeof makeTokenizer> | IsAny<typeof defineStage> | IsAny<typeof Trainer> = false;
    export const used = [defineStage, z, openBackend, perplexityOf, Linear, ops, withTape, Trainer, typed];
    console.log(count, tokenizer.vocabSize);`;
  writeFileSync(path.join(folder, "use.mts"), program);
  const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc");
  const options = ["--strict", "--module", "nodenext", "--target", "es2023", "--lib", "es2023,esnext.disposable"];
  const nodeTypes = ["--types", "node", "--typeRoots", path.join(root, "node_modules", "@types")];
  await run(process.execPath, [tsc, ...options, ...nodeTypes, path.join(folder, "use.mts")], { cwd: folder });
  const { stdout } = await run(process.execPath, [path.join(folder, "use.mjs")], { cwd: folder });
  expect(stdout).toBe("49857536 257\n");
});
