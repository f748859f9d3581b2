import assert from "node:assert/strict";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { loadStageModule, stageModuleNames } from "../../src/pipeline/modules.ts";
import { moduleText, PipelineRig, text } from "../rigs/pipeline-rig.ts";

/** near -> middle -> far, where far also has a function that nobody uses. */
const FILES = {
  "stages/near.ts": moduleText('writeFileSync(outputs.out.path("out.txt"), middle("n"));', {
    head: 'import { middle } from "../lib/middle.ts";\n',
  }),
  "stages/apart.ts": moduleText('writeFileSync(outputs.out.path("out.txt"), "apart");'),
  "lib/middle.ts":
    'import { far } from "./far.ts";\nexport function middle(word: string): string {\n  return far(word) + "!";\n}\n',
  "lib/far.ts":
    "export interface Unused { a: number }\nexport function far(word: string): string {\n  return word.repeat(2);\n}\nexport function unused(): number {\n  return 1;\n}\n",
};

async function lab(more: Record<string, string> = {}): Promise<PipelineRig> {
  return PipelineRig.create({
    stages: { near: { use: "near" }, apart: { use: "apart" } },
    files: { ...FILES, ...more },
  });
}

async function edit(rig: PipelineRig, file: string, from: string, to: string): Promise<void> {
  const before = readFileSync(rig.file(file), "utf8");
  assert.ok(before.includes(from), `${file} has no ${from}`);
  await rig.write(file, before.replace(from, to));
}

test("comments, formatting, types and unused code change no key", async () => {
  await using rig = await lab();
  await rig.run();
  await edit(rig, "lib/far.ts", "export function far", "// A comment.\n/** And a docstring. */\nexport function far");
  assert.deepEqual(await rig.run(), { near: "fresh", apart: "fresh" });
  await edit(rig, "lib/middle.ts", '  return far(word) + "!";', '\n      return (\n far(word) +\n "!")');
  assert.deepEqual(await rig.run(), { near: "fresh", apart: "fresh" });
  await edit(rig, "lib/far.ts", "{ a: number }", "{ a: string; b?: number }");
  assert.deepEqual(await rig.run(), { near: "fresh", apart: "fresh" });
  await edit(rig, "lib/far.ts", "return 1;", "return 2;");
  assert.deepEqual(await rig.run(), { near: "fresh", apart: "fresh" });
});

test("a changed helper two imports away reruns exactly the stages that reach it", async () => {
  await using rig = await lab();
  await rig.run();
  await edit(rig, "lib/far.ts", "word.repeat(2)", "word.repeat(3)");
  assert.deepEqual(await rig.run(), { near: "ran", apart: "fresh" });
  assert.equal(rig.output("near"), "nnn!");
  await edit(rig, "lib/far.ts", "word.repeat(3)", "word.repeat(2)");
  assert.deepEqual(await rig.run(), { near: "cached", apart: "fresh" });
});

test("what runs is what was fingerprinted, also when the source changes in between", async () => {
  await using rig = await lab();
  const pipeline = await rig.pipeline();
  await edit(rig, "lib/far.ts", "word.repeat(2)", "word.repeat(5)");
  await rig.run({ pipeline });
  assert.equal(rig.output("near"), "nn!");
});

test("a bundle that somebody edited is not run", async () => {
  await using rig = await lab();
  const module = await loadStageModule({ root: rig.root, use: "near" });
  appendFileSync(module.bundleFile, "\nthrow new Error('tampered');\n");
  const again = await loadStageModule({ root: rig.root, use: "near" });
  assert.deepEqual(again.code, module.code);
  assert.deepEqual(await rig.run(), { near: "ran", apart: "ran" });
});

test("the fingerprint does not depend on where the lab lies", async () => {
  await using one = await lab();
  await using two = await lab();
  const load = (rig: PipelineRig) => loadStageModule({ root: rig.root, use: "near" });
  assert.deepEqual((await load(one)).code, (await load(two)).code);
});

test("lazily imported modules are part of the fingerprint, free of machine paths", async () => {
  const files = {
    "stages/lazy.ts": moduleText(
      'writeFileSync(outputs.out.path("out.txt"), (await import("../lib/middle.ts")).middle("n"));',
    ),
  };
  await using one = await lab(files);
  await using two = await lab(files);
  const load = (rig: PipelineRig) => loadStageModule({ root: rig.root, use: "lazy" });
  const before = (await load(one)).code.bundle;
  assert.equal((await load(two)).code.bundle, before);
  await edit(one, "lib/far.ts", "word.repeat(2)", "word.repeat(3)");
  assert.notEqual((await load(one)).code.bundle, before);
});

test("packages are named with their version, native sources by digest without comments", async () => {
  await using rig = await lab({ "lib/kernels/add.c": "int add(int a, int b) { return a + b; }\n" });
  const load = () => loadStageModule({ root: rig.root, use: "near" });
  const { code } = await load();
  const zod = JSON.parse(readFileSync(path.resolve("node_modules/zod/package.json"), "utf8"));
  assert.deepEqual(code.packages, { zod: zod.version });
  assert.deepEqual(Object.keys(code.native), ["lib/kernels/add.c"]);
  await rig.write("lib/kernels/add.c", "// adds\nint add(int a,  int b) { return a + b; /* sum */ }\n");
  assert.deepEqual((await load()).code, code);
  await rig.write("lib/kernels/add.c", "int add(int a, int b) { return b + a; }\n");
  assert.notDeepEqual((await load()).code.native, code.native);
});

test("a second load reads stamps alone, and an edit under an old time is still noticed", async () => {
  await using rig = await lab();
  const old = new Date("2024-01-01T00:00:00Z");
  const load = () => loadStageModule({ root: rig.root, use: "near" });
  await new Promise((done) => setTimeout(done, 60)); // past the file system's tick, so that the stamps are kept
  const { code, bundleFile } = await load();
  const written = statSync(bundleFile, { bigint: true }).mtimeNs;
  assert.deepEqual((await load()).code, code);
  assert.equal(statSync(bundleFile, { bigint: true }).mtimeNs, written);
  writeFileSync(rig.file("lib/far.ts"), FILES["lib/far.ts"].replace("repeat(2)", "repeat(7)"));
  utimesSync(rig.file("lib/far.ts"), old, old);
  assert.notDeepEqual((await load()).code, code);
});

test("a lab that cannot be written to still has fingerprints", async () => {
  await using rig = await lab();
  const { code } = await loadStageModule({ root: rig.root, use: "near" });
  await rig.write("blocked", "a file in the place of a folder");
  const again = await loadStageModule({ root: rig.root, use: "near", artifacts: rig.file("blocked") });
  assert.deepEqual(again.code, code);
  await import(pathToFileURL(again.bundleFile).href);
  rmSync(path.dirname(again.bundleFile), { recursive: true });
});

test("mistakes in a stage module are one message with a place", async () => {
  await using rig = await lab({
    "stages/syntax.ts": "export default {\n  run( {,\n};\n",
    "stages/missing.ts": 'import "no-such-package-here";\nexport default {};\n',
    "stages/throws.ts": 'throw new Error("too early");\nexport default {};\n',
    "stages/empty.ts": "export default { inputs: {} };\n",
  });
  const load = (use: string) => loadStageModule({ root: rig.root, use });
  await expect(load("syntax")).rejects.toMatchObject({ code: "STAGE_BUILD_FAILED", where: { line: 2 } });
  await expect(load("missing")).rejects.toMatchObject({ code: "PACKAGE_NOT_FOUND" });
  await expect(load("empty")).rejects.toMatchObject({ code: "BAD_STAGE_MODULE", message: /run\(\) is missing/ });
  await expect(load("throws")).rejects.toMatchObject({
    code: "BAD_STAGE_MODULE",
    message: /too early/,
    where: { file: rig.file("stages/throws.ts") },
  });
  await expect(load("neer")).rejects.toMatchObject({ code: "UNKNOWN_STAGE", hint: /Did you mean "near"/ });
  assert.ok(stageModuleNames(rig.root).includes("near"));
});

test("a stage that imports the package by its name is fingerprinted by the sources that it reaches", async () => {
  const other = mkdtempSync(path.join(os.tmpdir(), "stlm-other-"));
  try {
    mkdirSync(path.join(other, "stages"));
    writeFileSync(
      path.join(other, "stages", "own.ts"),
      moduleText("defineStage(params);", { head: 'import { defineStage } from "stlm-pipeline";\n' }).replace(
        "await 0;",
        "digestBytes('');",
      ),
    );
    const { code, definition } = await loadStageModule({ root: other, use: "own" });
    assert.equal(definition.determinism, "bitwise");
    assert.deepEqual(Object.keys(code.packages), ["zod"]);
  } finally {
    rmSync(other, { recursive: true });
  }
});

test("a key is blind to the order of parameters", async () => {
  await using rig = await PipelineRig.create({ stages: { a: text("x") } });
  const before = (await rig.fullPlan()).nodes[0]!;
  await rig.write("pipeline.yaml", "stages: { a: { params: { text: x }, use: text } }");
  const after = (await rig.fullPlan()).nodes[0]!;
  assert.ok("key" in before && "key" in after && before.key === after.key);
});

test("the code of a linked package is part of the fingerprint, whether it is an ES module or CommonJS", async () => {
  const other = mkdtempSync(path.join(os.tmpdir(), "stlm-linked-"));
  try {
    const files = {
      "es/package.json": '{ "name": "es", "version": "1.0.0", "type": "module", "exports": "./index.js" }',
      "es/index.js": "export const word = 'es';",
      "common/package.json": '{ "name": "common", "version": "1.0.0", "main": "index.js" }',
      "common/index.js": "const path = require('path'); exports.word = path.basename('a/common');",
    };
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(other, name)), { recursive: true });
      writeFileSync(path.join(other, name), content);
    }
    await using rig = await PipelineRig.create({
      stages: { linked: { use: "linked" } },
      files: {
        "stages/linked.ts": moduleText('writeFileSync(outputs.out.path("out.txt"), `${es} ${common}`);', {
          head: 'import { word as es } from "es";\nimport { word as common } from "common";\n',
        }),
      },
    });
    mkdirSync(rig.file("node_modules"));
    for (const name of ["es", "common"]) symlinkSync(path.join(other, name), rig.file("node_modules", name));
    assert.deepEqual(await rig.run(), { linked: "ran" });
    assert.equal(rig.output("linked"), "es common");
    writeFileSync(path.join(other, "es/index.js"), "export const word = 'changed';");
    assert.deepEqual(await rig.run(), { linked: "ran" });
    assert.equal(rig.output("linked"), "changed common");
    const { code } = await loadStageModule({ root: rig.root, use: "linked" });
    assert.deepEqual(Object.keys(code.packages), ["zod"]);
  } finally {
    rmSync(other, { recursive: true });
  }
});
