import * as fs from "node:fs";
import { describe, expect, test } from "vitest";
import { ActionStore } from "../../src/store/actions.ts";
import { auditStore, traceDigest } from "../../src/store/audit.ts";
import { RunLog } from "../../src/store/run-log.ts";
import { type Digest, digestBytes, hexOf } from "../../src/util/digest.ts";
import { StoreRig } from "./store-rig.ts";

/** corpus -> shards -> train[1], train[2] -> report, which reads both models as a list. */
function lab(rig: StoreRig) {
  const corpus = rig.record("corpus", { dataset: rig.put({ "text.txt": "once upon a time" }) });
  const shards = rig.record(
    "shards",
    { shards: rig.put({ "train.bin": "tokens" }) },
    { corpus: corpus.outputs["dataset"]! },
  );
  const train = [1, 2].map((seed) =>
    rig.record(
      `train[seed=${seed}]`,
      { model: rig.put({ "model.bin": `weights ${seed}`, "config.json": "{}" }) },
      { shards: shards.outputs["shards"]! },
    ),
  );
  const models = train.map(({ stage, outputs }) => ({ name: stage, digest: outputs["model"]! }));
  const report = rig.record("report", { report: rig.put({ "README.md": "# Table" }) }, { runs: models });
  new RunLog(rig.store).append({ stage: "report" });
  return { corpus, shards, train, report };
}

describe("auditStore", () => {
  test("finds nothing in a whole store, and says how much it looked at", async () => {
    using rig = StoreRig.create();
    lab(rig);
    const progress: number[] = [];
    const report = await auditStore(rig.store, { onProgress: (done) => progress.push(done) });
    // Five trees and six files: config.json is one object.
    expect(report).toEqual({ findings: [], objects: 11, records: 5, logEntries: 1, unloggedRecords: 5 });
    expect(progress.at(-1)).toBe(11);
  });

  test("names a damaged object, what made it and all that it fed; then it is missing until it is made again", async () => {
    using rig = StoreRig.create();
    lab(rig);
    const digest = digestBytes("weights 1");
    rig.flipByte(digest);
    const place = {
      digest,
      path: `objects/${hexOf(digest).slice(0, 2)}/${hexOf(digest).slice(2)}`,
      artifacts: ["train[seed=1] model/model.bin"],
      madeBy: ["train[seed=1]"],
      fedInto: ["report"],
    };
    expect((await auditStore(rig.reopen())).findings).toMatchObject([{ kind: "object-damaged", ...place }]);
    expect((await auditStore(rig.reopen())).findings).toMatchObject([{ kind: "object-missing", ...place }]);
    rig.put({ "model.bin": "weights 1", "config.json": "{}" });
    expect((await auditStore(rig.reopen())).findings).toEqual([]);
  });

  test("follows damage at the source through every stage that it reached", async () => {
    using rig = StoreRig.create();
    lab(rig);
    rig.flipByte(digestBytes("once upon a time"));
    const [finding] = (await auditStore(rig.reopen())).findings;
    expect(finding).toMatchObject({
      madeBy: ["corpus"],
      fedInto: ["report", "shards", "train[seed=1]", "train[seed=2]"],
    });
  });

  test("finds a damaged manifest, a deleted one, a spoilt record, a broken log and runs that diverged", async () => {
    using rig = StoreRig.create();
    const { corpus, shards, train, report } = lab(rig);
    rig.flipByte(shards.outputs["shards"]!);
    fs.rmSync(rig.store.objectPath(corpus.outputs["dataset"]!));
    fs.appendFileSync(new ActionStore(rig.store.layout).file(report.key), "x");
    fs.writeFileSync(new RunLog(rig.store).file, "");
    rig.store.writeAction({ ...train[0]!, outputs: { model: rig.put({ "model.bin": "other weights" }) } });
    const { findings } = await auditStore(rig.reopen());
    expect(findings.map(({ kind, madeBy, digest }) => ({ kind, madeBy, digest }))).toEqual([
      { kind: "object-damaged", madeBy: ["shards"], digest: shards.outputs["shards"] },
      { kind: "object-missing", madeBy: ["corpus"], digest: corpus.outputs["dataset"] },
      { kind: "record-damaged", madeBy: [], digest: report.key },
      { kind: "runs-diverged", madeBy: ["train[seed=1]"], digest: train[0]!.key },
      { kind: "log-broken", madeBy: [], digest: undefined },
    ]);
  });

  test("finds a record that was taken out and a log that was, until the record is retired", async () => {
    using rig = StoreRig.create();
    const { train } = lab(rig);
    const [{ key, stage }] = train as [(typeof train)[0], ...unknown[]];
    const log = new RunLog(rig.store);
    log.append({ kind: "stage", state: "ran", stage, key });
    expect(await auditStore(rig.reopen())).toMatchObject({ findings: [], unloggedRecords: 4 });
    const file = new ActionStore(rig.store.layout).file(key);
    fs.renameSync(file, `${file}.old`);
    expect((await auditStore(rig.reopen())).findings).toMatchObject([{ kind: "record-missing", digest: key }]);
    fs.renameSync(`${file}.old`, `${file}.retired`);
    expect((await auditStore(rig.reopen())).findings).toEqual([]);
    fs.rmSync(rig.store.layout.log, { recursive: true });
    expect((await auditStore(rig.reopen())).findings).toMatchObject([{ kind: "log-broken" }]);
  });

  test("names the record to retire for a lost object of older settings, and the file of a divergence", async () => {
    using rig = StoreRig.create();
    const { train } = lab(rig);
    const store = new ActionStore(rig.store.layout);
    fs.rmSync(rig.store.objectPath(digestBytes("weights 1")));
    const [missing] = (await auditStore(rig.reopen())).findings;
    expect(missing!.detail).toContain(`actions/${hexOf(train[0]!.key)}.json`);
    fs.renameSync(store.file(train[0]!.key), `${store.file(train[0]!.key)}.retired`);
    expect((await auditStore(rig.reopen())).findings).toEqual([]);
    rig.store.writeAction({ ...train[1]!, outputs: { model: rig.put({ "model.bin": "other weights" }) } });
    const [diverged] = (await auditStore(rig.reopen())).findings;
    expect(diverged).toMatchObject({ kind: "runs-diverged", madeBy: ["train[seed=2]"] });
    fs.rmSync(`${rig.store.root}/${diverged!.path}`);
    expect((await auditStore(rig.reopen())).findings).toEqual([]);
  });

  test("stops when it is aborted", async () => {
    using rig = StoreRig.create();
    lab(rig);
    const stop = new AbortController();
    const audit = auditStore(rig.store, { signal: stop.signal, onProgress: () => stop.abort(new Error("stopped")) });
    await expect(audit).rejects.toThrow("stopped");
  });
});

describe("traceDigest", () => {
  const stages = (records: readonly { stage: string }[]) => records.map((record) => record.stage);

  test("follows a file from its maker to the report", () => {
    using rig = StoreRig.create();
    lab(rig);
    const trace = traceDigest(rig.store, digestBytes("weights 2"));
    expect(trace).toMatchObject({ kind: "blob", state: "ok" });
    expect(trace.madeBy).toMatchObject([{ record: { stage: "train[seed=2]" }, output: "model", path: "model.bin" }]);
    expect(stages(trace.fed)).toEqual(["report"]);
  });

  test("knows trees, keys and strangers", () => {
    using rig = StoreRig.create();
    const { shards, report } = lab(rig);
    const tree = traceDigest(rig.store, shards.outputs["shards"]!);
    expect(tree).toMatchObject({ kind: "tree", state: "ok" });
    expect(stages(tree.madeBy.map((origin) => origin.record))).toEqual(["shards"]);
    expect(stages(tree.fed).sort()).toEqual(["report", "train[seed=1]", "train[seed=2]"]);
    expect(stages(tree.fed).at(-1)).toBe("report");
    const key = traceDigest(rig.store, shards.key);
    expect(key).toMatchObject({ kind: "key", state: "ok" });
    expect(stages(key.fed)).toEqual(stages(tree.fed));
    expect(traceDigest(rig.store, report.key).fed).toEqual([]);
    const stranger: Digest = `sha256:${"5".repeat(64)}`;
    expect(traceDigest(rig.store, stranger)).toMatchObject({ kind: "unknown", state: "missing", madeBy: [], fed: [] });
  });
});
