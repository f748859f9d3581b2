import * as fs from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RunLog } from "../../src/store/run-log.ts";
import { ended, StoreRig } from "./store-rig.ts";

function logOf(rig: StoreRig, records = 0): RunLog {
  const log = new RunLog(rig.store);
  for (let index = 0; index < records; index++) log.append({ stage: "train", index });
  return log;
}

function editLines(log: RunLog, edit: (lines: string[]) => string[]): void {
  fs.writeFileSync(log.file, edit(fs.readFileSync(log.file, "utf8").split("\n").slice(0, -1)).join("\n") + "\n");
}

describe("the run log", () => {
  test("is empty at first", () => {
    using rig = StoreRig.create();
    expect(logOf(rig).readAll()).toEqual([]);
    expect(logOf(rig).verify()).toBeUndefined();
  });

  test("gives back what was appended, each entry holding the digest of the one before", () => {
    using rig = StoreRig.create();
    const log = logOf(rig);
    const appended = [log.append({ a: 1 }), log.append({ b: "zwei\n" }), log.append({ c: [null, true] })];
    const entries = new RunLog(rig.reopen()).readAll();
    expect(entries.map((entry) => entry.record)).toEqual([{ a: 1 }, { b: "zwei\n" }, { c: [null, true] }]);
    expect(entries.map(({ digest, previous, sequence }) => ({ digest, previous, sequence }))).toEqual(appended);
    expect(appended.map((entry) => entry.previous)).toEqual([null, appended[0]!.digest, appended[1]!.digest]);
    expect(log.verify()).toBeUndefined();
  });

  test("holds any record, also one longer than a read of its tail", () => {
    using rig = StoreRig.create();
    const log = logOf(rig);
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean())), (record) => {
        log.append(record);
        expect({ ...log.readAll().at(-1)!.record }).toEqual({ ...record });
      }),
      { numRuns: 15 },
    );
    log.append({ long: "x".repeat(300_000) });
    log.append({ after: 1 });
    expect(log.verify()).toBeUndefined();
  });

  const tampering: Record<string, [(lines: string[]) => string[], number, RegExp]> = {
    "a changed record": [(lines) => lines.with(1, lines[1]!.replace('"index":1', '"index":9')), 2, /was changed/],
    "a line taken out": [(lines) => lines.toSpliced(1, 1), 2, /changed, moved or taken out/],
    "two lines swapped": [(lines) => [lines[0]!, lines[2]!, lines[1]!, lines[3]!], 2, /changed, moved or taken out/],
    "a line repeated": [(lines) => lines.toSpliced(1, 0, lines[0]!), 2, /changed, moved or taken out/],
    "a line that is not JSON": [(lines) => lines.with(2, "oops"), 3, /not an entry/],
    "the end cut off": [(lines) => lines.slice(0, 2), 3, /up to number 4 are missing/],
    "the beginning cut off": [(lines) => lines.slice(1), 1, /changed, moved or taken out/],
  };
  for (const [what, [edit, line, reason]] of Object.entries(tampering)) {
    test(`verify names the line of ${what}, and appending goes on`, () => {
      using rig = StoreRig.create();
      const log = logOf(rig, 4);
      editLines(log, edit);
      expect(log.verify()).toEqual({ line, reason: expect.stringMatching(reason) });
      log.append({ after: "the break" });
      expect(log.readAll().at(-1)!.record).toEqual({ after: "the break" });
      expect(log.verify()).toBeDefined();
    });
  }

  test("a log rewritten as a whole does not match its head", () => {
    using rig = StoreRig.create();
    using other = StoreRig.create();
    const log = logOf(rig, 3);
    fs.copyFileSync(logOf(other, 3).file, log.file);
    expect(log.verify()).toMatchObject({ line: 3, reason: expect.stringMatching(/replaced/) });
  });

  test("a line torn by a kill is put aside and the chain goes on", () => {
    using rig = StoreRig.create();
    const log = logOf(rig, 2);
    fs.appendFileSync(log.file, '{"at":"2024-01-01T00:00:00.000Z","dig');
    expect(log.readAll()).toHaveLength(2);
    expect(log.verify()).toBeUndefined();
    expect(log.append({ next: 1 }).sequence).toBe(3);
    expect(log.verify()).toBeUndefined();
    expect(log.readAll()).toHaveLength(3);
    const aside = fs.readdirSync(rig.store.layout.log).filter((name) => name.startsWith("torn"));
    expect(aside).toHaveLength(1);
    expect(fs.readFileSync(`${rig.store.layout.log}/${aside[0]}`, "utf8")).toBe(
      '{"at":"2024-01-01T00:00:00.000Z","dig',
    );
  });

  test("a kill between the entry and its head leaves a whole log", () => {
    using rig = StoreRig.create();
    const log = logOf(rig, 2);
    const head = `${rig.store.layout.log}/head.json`;
    const before = fs.readFileSync(head);
    log.append({ last: 1 });
    fs.writeFileSync(head, before);
    expect(log.verify()).toBeUndefined();
  });

  test("many processes append at once without losing or tearing a line", async () => {
    using rig = StoreRig.create();
    const writers = await Promise.all(["a", "b", "c"].map((writer) => rig.child("append", "20", writer)));
    await Promise.all(writers.map(ended));
    expect(writers.map((writer) => writer.exitCode)).toEqual([0, 0, 0]);
    const log = logOf(rig);
    expect(log.verify()).toBeUndefined();
    const indexes = (writer: string) =>
      log
        .readAll()
        .filter((e) => e.record["writer"] === writer)
        .map((e) => e.record["index"]);
    for (const writer of ["a", "b", "c"]) expect(indexes(writer)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test("a process killed while it appends blocks nobody", async () => {
    using rig = StoreRig.create();
    const writer = await rig.child("append", "100000", "a");
    await new Promise((resolve) => setTimeout(resolve, 150));
    writer.kill("SIGKILL");
    await ended(writer);
    const log = logOf(rig, 1);
    expect(log.verify()).toBeUndefined();
    expect(log.readAll().at(-1)!.record).toEqual({ stage: "train", index: 0 });
  });
});
