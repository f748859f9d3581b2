import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { FileDigests } from "../../src/pipeline/file-digests.ts";
import { moduleText, PipelineRig } from "../rigs/pipeline-rig.ts";

/** Joins the files of the folder that its parameter names. */
const READER = moduleText(
  `const folder = path.resolve(params.base, params.path);
    const names = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".txt")).sort();
    writeFileSync(outputs.out.path("out.txt"), names.map((name) => readFileSync(path.join(folder, name), "utf8")).join(""));
    if (params.touch) writeFileSync(path.join(folder, "late.txt"), "late");`,
  {
    head: 'import { readdirSync } from "node:fs";\nimport path from "node:path";\n',
    fields: "reads: (params, root) => [path.resolve(root, params.path)],",
  },
);

async function reading(folder: string, more: Record<string, unknown> = {}): Promise<PipelineRig> {
  const files = { "stages/read.ts": READER, "texts/a.txt": "one", "texts/deep/b.txt": "two" };
  const rig = await PipelineRig.create({ stages: {}, files });
  await rig.setStages({ read: { use: "read", params: { path: folder, base: rig.root, ...more } } });
  return rig;
}

describe("files that a stage says it reads", () => {
  test("are part of its key, by content alone, and why names the one that changed", async () => {
    await using rig = await reading("texts");
    assert.deepEqual(await rig.run(), { read: "ran" });
    utimesSync(rig.file("texts/a.txt"), 1, 1);
    await rig.write("texts/.hidden", "no text");
    assert.deepEqual(await rig.run(), { read: "fresh" });
    const { mtime, atime } = statSync(rig.file("texts/deep/b.txt"));
    await rig.write("texts/deep/b.txt", "TWO");
    utimesSync(rig.file("texts/deep/b.txt"), atime, mtime);
    const { differences } = await rig.why("read");
    assert.deepEqual(
      differences.map((difference) => difference.path),
      ['files["texts/deep/b.txt"]'],
    );
    assert.deepEqual(await rig.run(), { read: "ran" });
    assert.equal(rig.output("read"), "oneTWO");
    await rig.write("texts/deep/b.txt", "two");
    assert.deepEqual(await rig.run(), { read: "cached" });
    await rig.write("texts/new.txt", "new");
    assert.deepEqual(await rig.run(), { read: "ran" });
  });

  test("outside of the lab are named without the machine's folders", async () => {
    const outside = mkdtempSync(path.join(os.tmpdir(), "stlm-outside-"));
    try {
      mkdirSync(path.join(outside, "texts"));
      writeFileSync(path.join(outside, "texts", "a.txt"), "one");
      await using rig = await reading(path.join(outside, "texts"));
      const { nodes } = await rig.fullPlan();
      const [planned] = nodes;
      assert.ok(planned && "preimage" in planned);
      assert.deepEqual(Object.keys(planned.preimage.files ?? {}), ["0:texts/a.txt"]);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  test("that are missing are one error, before anything runs", async () => {
    await using rig = await reading("nowhere");
    await assert.rejects(rig.run(), { code: "MISSING_FILE", exitCode: 2, message: /"read" reads .*nowhere/ });
    assert.deepEqual(rig.events, []);
  });

  test("are refused by the stage in its own words, with its place", async () => {
    const fields = `reads() { throw Object.assign(new Error("No such town."), { code: "NO_TOWN", where: undefined, hint: "Go on." }); },`;
    await using rig = await PipelineRig.create({
      stages: { read: { use: "refuse" } },
      files: { "stages/refuse.ts": moduleText("", { fields }) },
    });
    await assert.rejects(rig.run(), { name: "UserError", code: "NO_TOWN", message: 'Stage "read": No such town.' });
  });

  test("that change while it runs make the run void", async () => {
    await using rig = await reading("texts", { touch: true });
    assert.deepEqual(await rig.run(), { read: "failed" });
    const outcome = rig.outcome("read");
    assert.equal(outcome.type === "failed" && outcome.error.code, "FILES_CHANGED");
    assert.deepEqual(rig.store.listActionKeys(), []);
  });
});

test("a file is hashed once, and again when it changed under its old size and time", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-digests-"));
  try {
    const file = path.join(folder, "big.txt");
    writeFileSync(file, "one");
    const first = new FileDigests(folder).digest(file);
    const waitUntil = Date.now() + 60;
    while (Date.now() < waitUntil);
    const digests = new FileDigests(folder);
    expect(digests.digest(file)).toBe(first);
    digests.flush();
    // A memory that is wrong on purpose shows that it is asked.
    const memory = path.join(folder, "index", "files.json");
    const { version, files } = JSON.parse(readFileSync(memory, "utf8"));
    writeFileSync(
      memory,
      JSON.stringify({ version, files: { [file]: { ...files[file], digest: "sha256:remembered" } } }),
    );
    expect(new FileDigests(folder).digest(file)).toBe("sha256:remembered");
    const { atime, mtime } = statSync(file);
    writeFileSync(file, "two");
    utimesSync(file, atime, mtime);
    expect(new FileDigests(folder).digest(file)).not.toBe("sha256:remembered");
    writeFileSync(memory, "{");
    expect(new FileDigests(folder).digest(file)).not.toBe(first);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
