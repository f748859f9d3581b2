// Kills at random moments: whatever has a record is whole, whatever has none is swept.

import * as fs from "node:fs";
import { expect, test } from "vitest";
import { auditStore } from "../../src/store/audit.ts";
import { ended, StoreRig } from "./store-rig.ts";

test("after kill -9 in the middle of publishing every record is complete and every object has its bytes", async () => {
  using rig = StoreRig.create();
  let records = 0;
  for (const delayMs of [5, 40, 75, 110]) {
    const writer = await rig.child("publish", `writer ${delayMs}`);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    writer.kill("SIGKILL");
    await ended(writer);
    const report = await auditStore(rig.reopen());
    expect(report.findings).toEqual([]);
    expect(report.records).toBeGreaterThanOrEqual(records);
    records = report.records;
  }
  expect(records).toBeGreaterThan(0);
  rig.store.sweepStaging();
  expect(fs.readdirSync(rig.store.layout.tmp)).toEqual([]);
});

test("two processes that publish the same trees at once end with one whole store", async () => {
  using rig = StoreRig.create();
  const writers = await Promise.all([1, 2].map(() => rig.child("publish", "same name")));
  await new Promise((resolve) => setTimeout(resolve, 300));
  for (const writer of writers) writer.kill("SIGKILL");
  await Promise.all(writers.map(ended));
  const report = await auditStore(rig.reopen());
  expect(report.findings).toEqual([]);
  expect(report.records).toBeGreaterThan(0);
});
