// Every TypeScript snippet of docs/api.md runs as it stands.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/util/package-root.ts";

const run = promisify(execFile);
const text = readFileSync(path.join(packageRoot(), "docs", "api.md"), "utf8");
const snippets = [...text.matchAll(/^## (.+)\n(?:(?!^## )[\s\S])*?^```ts\n([\s\S]*?)^```$/gm)].map(
  ([, title, code]) => [title!, code!] as const,
);

/** What each prints, where the page says so. */
const PRINTS: Readonly<Record<string, RegExp>> = {
  "Encode text": /7454, 2402, 257, 640[\s\S]*a king 269/,
  "Build a model, save and load its weights": /^49857536$/m,
  "Logits and per-token losses": /^true[\s\S]*8\.\d+/,
  "Optimizer steps": /^3 \d/m,
  "A layer of your own": /^6$/m,
  Evaluate: /^1$/m,
};

test("the page has a snippet under each of its headings", () => {
  expect(snippets.map(([title]) => title)).toEqual(["A stage", ...Object.keys(PRINTS)]);
});

test.each(snippets)("%s", async (title, code) => {
  const { code: javascript } = await transform(code, { loader: "ts", format: "esm" });
  const command = ["--input-type=module", "--eval", javascript];
  const { stdout } = await run(process.execPath, command, { cwd: packageRoot(), timeout: 50_000 });
  expect(stdout).toMatch(PRINTS[title] ?? /^$/);
});
