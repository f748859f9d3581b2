import * as fs from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ActionRecord, ActionStore } from "../../src/store/actions.ts";
import { latestName } from "../../src/store/latest.ts";
import { ownedName, ownerState, thisOwner } from "../../src/store/owner.ts";
import { ACTION_TYPE } from "../../src/store/store.ts";
import { digestOf, hexOf } from "../../src/util/digest.ts";
import { readContent, StoreRig, writeContent } from "./store-rig.ts";

const recordFile = (rig: StoreRig, record: ActionRecord) => new ActionStore(rig.store.layout).file(record.key);

describe("action records", () => {
  test("what was written is read back", () => {
    using rig = StoreRig.create();
    const record = rig.record("train[seed=1]", { model: rig.put({ a: "1" }) });
    expect(rig.reopen().readAction(record.key)).toEqual(record);
    expect(rig.store.listActions()).toEqual([record]);
    expect(rig.store.isComplete(record)).toBe(true);
  });

  test("a key without a record has none", () => {
    using rig = StoreRig.create();
    const key = digestOf(ACTION_TYPE, {});
    expect(rig.store.readAction(key)).toBeUndefined();
    expect(rig.store.inspectAction(key)).toEqual({ state: "missing" });
    expect(rig.store.listActions()).toEqual([]);
  });

  const spoil: Record<string, (text: string) => string> = {
    "a cut-off file": (text) => text.slice(0, 40),
    "an empty file": () => "",
    "a changed output": (text) =>
      text.replace(/"model": "sha256:./, (found) => found.slice(0, -1) + (found.endsWith("0") ? "1" : "0")),
    "a changed preimage": (text) => text.replace('"stage": "train"', '"stage": "brain"'),
    "a changed measure": (text) => text.replace('"durationMs": 5', '"durationMs": 6'),
  };
  for (const [what, change] of Object.entries(spoil)) {
    test(`${what} is no record, and inspectAction says why`, () => {
      using rig = StoreRig.create();
      const record = rig.record("train", { model: rig.put({ a: "1" }) });
      const file = recordFile(rig, record);
      const text = fs.readFileSync(file, "utf8");
      expect(change(text)).not.toBe(text);
      fs.writeFileSync(file, change(text));
      expect(rig.store.readAction(record.key)).toBeUndefined();
      const found = rig.store.inspectAction(record.key);
      expect(found).toMatchObject({ state: "damaged", file });
      expect(found.state === "damaged" && found.reason).toMatch(/\w/);
      rig.record("train", record.outputs);
      expect(rig.store.readAction(record.key)).toEqual(record);
    });
  }

  test("a record under the name of another key is none", () => {
    using rig = StoreRig.create();
    const outputs = { model: rig.put({ a: "1" }) };
    const [one, two] = [rig.record("one", outputs), rig.record("two", outputs)];
    fs.copyFileSync(recordFile(rig, one), recordFile(rig, two));
    expect(rig.store.inspectAction(two.key)).toMatchObject({ reason: "it is the record of another key" });
  });

  test("a key that is not the digest of its preimage is refused", () => {
    using rig = StoreRig.create();
    const record = rig.record("train", {});
    expect(() => rig.store.writeAction({ ...record, preimage: { other: 1 } })).toThrow(
      /not the digest of its preimage/,
    );
  });

  test("when the same key gives other bytes, both records are kept and the first stays in force", () => {
    using rig = StoreRig.create();
    const first = rig.record("train", { model: rig.put({ a: "1" }) });
    const second = { ...first, outputs: { model: rig.put({ a: "2" }) } };
    expect(rig.store.writeAction(second)).toEqual({ inForce: first, divergent: second });
    expect(rig.store.readAction(first.key)).toEqual(first);
    expect(rig.store.listDivergent()).toEqual([second]);
    expect(rig.store.listActions()).toEqual([first]);
  });

  test("a stage that promises no equal bytes replaces its record, and the old one is kept aside", () => {
    using rig = StoreRig.create();
    const first = rig.record("download", { dataset: rig.put({ a: "1" }) });
    const second = { ...first, outputs: { dataset: rig.put({ a: "2" }) } };
    expect(rig.store.writeAction(second, { replace: true })).toEqual({ inForce: second, divergent: first });
    expect(rig.store.readAction(first.key)).toEqual(second);
  });

  test("when the first's outputs are gone, the new record takes its place", () => {
    using rig = StoreRig.create();
    const first = rig.record("train", { model: rig.put({ a: "1" }) });
    fs.rmSync(rig.store.objectPath(first.outputs["model"]!));
    const second = { ...first, outputs: { model: rig.put({ a: "2" }) } };
    expect(rig.store.writeAction(second)).toEqual({ inForce: second, divergent: first });
    expect(rig.store.readAction(first.key)).toEqual(second);
    expect(rig.store.listDivergent()).toEqual([first]);
  });
});

describe("resolve", () => {
  test("finds objects and keys by four digits or more", () => {
    using rig = StoreRig.create();
    const blob = rig.store.putBytes("x");
    const record = rig.record("train", {});
    expect(rig.store.resolve(hexOf(blob).slice(0, 12))).toEqual([blob]);
    expect(rig.store.resolve(hexOf(record.key).slice(0, 4).toUpperCase())).toContain(record.key);
    expect(rig.store.resolve(blob)).toEqual([blob]);
    expect(rig.store.resolve("0123456789abcdef")).toEqual([]);
  });

  test("refuses what is too short or no digest", () => {
    using rig = StoreRig.create();
    expect(() => rig.store.resolve("abc")).toThrow(/not the beginning of a digest/);
    expect(() => rig.store.resolve("../../etc")).toThrow(/not the beginning of a digest/);
  });
});

describe("folders of a store", () => {
  test("nothing is made before something is written", () => {
    using rig = StoreRig.create();
    expect(rig.store.listActions()).toEqual([]);
    expect(rig.store.listObjects()).toEqual([]);
    expect(rig.store.sweepStaging()).toEqual([]);
    expect(fs.existsSync(rig.store.root)).toBe(false);
  });

  test("work folders belong to a key and survive until they are removed", () => {
    using rig = StoreRig.create();
    const key = digestOf(ACTION_TYPE, 1);
    writeContent(rig.store.workFolder(key), { "step-5/weights": "x" });
    expect(readContent(rig.reopen().workFolder(key))).toEqual({ "step-5/weights": "x" });
    rig.store.removeWork(key);
    expect(readContent(rig.store.workFolder(key))).toEqual({});
  });

  test("a kill before the record leaves a staging folder and objects, and the next process sweeps the folder", () => {
    using rig = StoreRig.create();
    const mine = rig.staged({ a: "1" });
    const { pid, started, boot } = thisOwner();
    const name = mine.split("/").at(-1)!;
    const ofDeadPid = name.replace(`~${pid}~`, "~4999999~");
    const ofOtherStart = name.replace(`~${started}~`, `~${Number(started) + 1}~`);
    const ofOtherBoot = name.replace(boot, "0".repeat(boot.length));
    for (const dead of [ofDeadPid, ofOtherStart, ofOtherBoot])
      writeContent(rig.store.layout.tmp, { [`${dead}/a`]: "1" });
    writeContent(rig.store.layout.tmp, { "somebody's file": "x" });
    const key = digestOf(ACTION_TYPE, { stage: "train", inputs: {} });
    expect(rig.store.readAction(key)).toBeUndefined();
    expect(rig.store.sweepStaging().sort()).toEqual([ofDeadPid, ofOtherStart, ofOtherBoot].sort());
    expect(fs.readdirSync(rig.store.layout.tmp).sort()).toEqual([name, "somebody's file"].sort());
  });

  test("this process is alive, and one of another machine cannot be judged", () => {
    expect(ownerState(thisOwner())).toBe("alive");
    expect(ownerState({ ...thisOwner(), host: "elsewhere" })).toBe("unknown");
    expect(ownerState({ ...thisOwner(), pidNamespace: "1" })).toBe("unknown");
    expect(ownedName("train[model=baseline,seed=1]")).toMatch(/^train_model=baseline,seed=1_~\d+~/);
  });
});

describe("latest", () => {
  test("holds links that open the newest files", () => {
    using rig = StoreRig.create();
    const folder = rig.path("artifacts", "latest", "train.model=baseline,seed=1", "model");
    for (const text of ["old", "new"]) {
      const digest = rig.put({
        "deep/config.json": text,
        run: { run: "x" },
        alias: { link: "deep/config.json" },
        e: null,
      });
      rig.store.setLatest("train[model=baseline,seed=1]/model", digest);
      expect(fs.readFileSync(`${folder}/deep/config.json`, "utf8")).toBe(text);
      expect(fs.readFileSync(`${folder}/alias`, "utf8")).toBe(text);
      expect(fs.readFileSync(`${folder}/.tree`, "utf8")).toBe(rig.store.readBytes(digest).toString());
    }
  });

  test("is left alone when it is up to date", () => {
    using rig = StoreRig.create();
    const digest = rig.put({ a: "1" });
    rig.store.setLatest("x", digest);
    const before = fs.statSync(`${rig.store.layout.latest}/x`).ino;
    rig.store.setLatest("x", digest);
    expect(fs.statSync(`${rig.store.layout.latest}/x`).ino).toBe(before);
  });

  test("names are safe, stay inside, and differ where the stages differ", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (a, b) => {
        const [left, right] = [latestName(a), latestName(b)];
        expect(left).toMatch(/^[A-Za-z0-9._~=,%/-]*$/);
        expect(left.split("/").some((part) => /^\.+$/.test(part))).toBe(false);
        if (a !== b) expect(left).not.toBe(right);
      }),
      { numRuns: 300 },
    );
    expect(latestName("train[model=a]")).toBe("train.model=a");
  });
});
