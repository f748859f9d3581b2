// The snippets of docs/api.md as a reader runs them: pasted into an empty folder where the package is installed.

import { execFile } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { packageRoot } from "../../src/util/package-root.ts";
import { temporaryFolder } from "../rigs/stage-rig.ts";
import { snippets } from "./snippets.ts";

const run = promisify(execFile);
const root = packageRoot();
const tool = (...parts: string[]) => path.join(root, "node_modules", ...parts);
const fileOf = (title: string) => `${title.toLowerCase().replace(/[^a-z]+/g, "-")}.mts`;

/** What each prints, where the page says so. */
const PRINTS: Readonly<Record<string, RegExp>> = {
  "Encode text": /Uint16Array\(4\) \[ 7454, 2402, 257, 640 \]\na king 269/,
  "Build a model, save and load its weights": /^49857536$/m,
  "Logits and per-token losses": /^true[\s\S]*8\.\d+/,
  Generate: /^\[\s+(\d+,?\s+){8}\]$/m,
  "Optimizer steps": /^3 \d/m,
  "A layer of your own": /^6$/m,
  Evaluate: /^1$/m,
};

const folder = temporaryFolder("reader");
beforeAll(() => {
  mkdirSync(path.join(folder, "node_modules"));
  symlinkSync(root, path.join(folder, "node_modules", "stlm-pipeline"));
  for (const [title, code] of snippets) writeFileSync(path.join(folder, fileOf(title)), code);
});

test("the page has a snippet under each of its headings", () => {
  expect([...snippets.keys()]).toEqual(["A stage", ...Object.keys(PRINTS)]); // the stage runs in examples.test.ts
});

test.each(Object.entries(PRINTS))("%s", async (title, printed) => {
  const command = ["--import", pathToFileURL(tool("tsx", "dist", "loader.mjs")).href, fileOf(title)];
  const { stdout } = await run(process.execPath, command, { cwd: folder, timeout: 50_000 });
  expect(stdout).toMatch(printed);
});

test("all of them are well typed under strict rules", async () => {
  const options = ["--strict", "--noUncheckedIndexedAccess", "--noEmit", "--module", "nodenext", "--target", "es2023"];
  const types = ["--lib", "es2023,esnext.disposable", "--types", "node", "--typeRoots", tool("@types")];
  const command = [tool("typescript", "bin", "tsc"), ...options, ...types, ...[...snippets.keys()].map(fileOf)];
  const errors = await run(process.execPath, command, { cwd: folder }).then(
    () => "",
    ({ stdout }) => stdout,
  );
  expect(errors).toBe("");
});
