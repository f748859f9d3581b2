import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { show } from "../../src/cli/commands/show.ts";
import { RunLog } from "../../src/store/run-log.ts";
import { ACTION_RECORD_TYPE, ACTION_TYPE } from "../../src/store/store.ts";
import { type Digest, digestOf } from "../../src/util/digest.ts";
import { printedBy } from "../rigs/printed.ts";
import { temporaryFolder } from "../rigs/stage-rig.ts";
import { StoreRig } from "../store/store-rig.ts";

function tree(rig: StoreRig, text: string): Digest {
  const folder = temporaryFolder("tree");
  writeFileSync(path.join(folder, "a.txt"), text);
  return rig.store.putTree(folder).digest;
}

test("show says where the files of an output lie, until a later run has taken their place", async () => {
  using rig = StoreRig.create();
  const [model, notes] = [tree(rig, "model"), tree(rig, "notes")];
  rig.record("train[seed=1]", { model, notes });
  rig.store.setLatest("train[seed=1]/model", model);
  rig.store.setLatest("train[seed=1]/notes", tree(rig, "newer notes"));
  const text = await printedBy(() => show("train", { directory: rig.folder, json: false, log: false }));
  const folder = path.join(rig.store.layout.latest, "train.seed=1", "model");
  expect(text).toContain(`files of model  ${path.relative(process.cwd(), folder)}\n`);
  expect(text).not.toContain("files of notes");
});

test("show rounds what was measured, and counts native sources that --json lists", async () => {
  using rig = StoreRig.create();
  const provenance = rig.record("earlier", {}).provenance;
  const native = { "matmul.c": "sha256:0", "rope.c": "sha256:1" };
  const preimage = { stage: "train", inputs: {}, code: { bundle: "sha256:2", native, packages: {} } };
  rig.store.writeAction({
    type: ACTION_RECORD_TYPE,
    key: digestOf(ACTION_TYPE, preimage),
    stage: "train",
    preimage,
    outputs: { model: tree(rig, "model") },
    provenance: { ...provenance, measures: { tokens_per_second: 40326.78, seconds: 2.71281, peak_bytes: 8219916 } },
  });
  const options = { directory: rig.folder, json: false, log: false };
  const text = await printedBy(() => show("train", options));
  expect(text).toContain("tokens_per_second  40,327\n");
  expect(text).toContain("seconds            2.713\n");
  expect(text).toContain("peak_bytes         8.22 MB\n");
  expect(text).toContain('"native": "2 source files; --json lists them"');
  expect(await printedBy(() => show("train", { ...options, json: true }))).toContain('"matmul.c": "sha256:0"');
});

test("show tells of a failure after the last result, and of one where there is no result", async () => {
  using rig = StoreRig.create();
  rig.record("plot", { files: tree(rig, "figure") });
  const failed = {
    kind: "stage",
    state: "failed",
    error: "The command ended with exit code 1.",
    code: "COMMAND_FAILED",
  };
  const log = new RunLog(rig.store);
  for (const stage of ["plot", "count"]) log.append({ ...failed, stage });
  const options = { directory: rig.folder, json: false, log: false };
  const newer = "a newer run failed: The command ended with exit code 1. (COMMAND_FAILED)";
  expect(await printedBy(() => show("plot", options))).toContain(newer);
  await expect(show("count", options)).rejects.toMatchObject({
    message: "No run of count has succeeded.",
    hint: "The last one: The command ended with exit code 1. (COMMAND_FAILED)",
  });
  log.append({ kind: "stage", state: "fresh", stage: "plot" });
  expect(await printedBy(() => show("plot", options))).not.toContain("failed");
});
