// A disk that lies: bytes flip in the store, and nothing that rests on them is believed. Whatever is damaged is named,
// made again, and the reports are what they were, byte for byte.

import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LabRig, withState } from "../rigs/lab-rig.ts";

let lab: LabRig;
let reports: Record<string, string>;

beforeAll(async () => {
  lab = LabRig.create();
  await lab.repro();
  reports = lab.reports();
}, 180_000);

afterAll(() => lab[Symbol.dispose]());

/** Every object as an absolute file. */
function objects(): string[] {
  return readdirSync(lab.path("artifacts", "objects"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}

/** Flips one bit in the middle. An empty file gets a byte, for it has none to flip. */
function flip(file: string): void {
  const bytes = readFileSync(file);
  if (bytes.length > 0) bytes[bytes.length >> 1]! ^= 1;
  chmodSync(file, 0o644);
  writeFileSync(file, bytes.length > 0 ? bytes : "\0");
  chmodSync(file, 0o444);
}

function logs(): string[] {
  const folder = lab.path("artifacts", "actions");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(path.join(folder, name), "utf8")).provenance.log as string | undefined)
    .filter((digest) => digest !== undefined)
    .map((digest) => lab.path("artifacts", "objects", digest.slice(7, 9), digest.slice(9)));
}

async function damagedBy(files: readonly string[]): Promise<void> {
  for (const file of files) flip(file);
  const audit = await lab.cli("audit", "--json");
  expect(audit.code).toBe(3);
  const { findings } = JSON.parse(audit.stdout) as { findings: { kind: string; path: string }[] };
  const named = findings
    .filter(({ kind }) => kind === "object-damaged")
    .map((found) => lab.path("artifacts", found.path));
  expect(named.sort()).toEqual([...files].sort());
}

async function expectWhole(): Promise<void> {
  expect(lab.reports()).toEqual(reports);
  expect(await lab.cli("audit")).toMatchObject({ code: 0 });
  expect(withState(await lab.repro(), "fresh")).toHaveLength(15);
}

test("a flipped bit in every object is named for each, and one run makes everything again", async () => {
  await damagedBy(objects());
  expect(withState(await lab.repro(), "ran")).toHaveLength(15);
  await expectWhole();
}, 180_000);

test("flipped bits in the captured logs rerun nothing, and the audit is clean after the next run", async () => {
  await damagedBy([...new Set(logs())].sort());
  const states = await lab.repro();
  expect(withState(states, "fresh")).toHaveLength(15);
  const shown = await lab.cli("show", "train[model=wide,seed=1]", "--log");
  expect(shown).toMatchObject({ code: 0 });
  expect(shown.stdout).toMatch(/The log was lost/);
  await expectWhole();
}, 180_000);

test("a flipped bit that nobody audited is found by the run itself", async () => {
  const kept = new Set(logs());
  // Weights, manifests, texts, tables: every fifth object, so that different stages lose different parts.
  for (const file of objects().filter((file, index) => index % 5 === 0 && !kept.has(file))) flip(file);
  expect(withState(await lab.repro(), "ran").length).toBeGreaterThan(0);
  await expectWhole();
}, 180_000);
