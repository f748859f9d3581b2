import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { warningOfReference } from "../../src/cli/slow-device.ts";
import type { RunEvent } from "../../src/pipeline/events.ts";
import type { StageNode } from "../../src/pipeline/node.ts";
import { temporaryFolder } from "../rigs/stage-rig.ts";

beforeEach(() => {
  const empty = temporaryFolder("machine");
  vi.stubEnv("PATH", empty);
  vi.stubEnv("CC", "");
  vi.stubEnv("STLM_PACKAGE_ROOT", empty); // no prebuilt library either
});
afterEach(() => void vi.unstubAllEnvs());

const stage = (definition: object) => ({ params: {}, work: { kind: "module", module: { definition } } });
const byId = new Map(
  Object.entries({
    corpus: stage({}),
    plot: { params: {}, work: { kind: "command", command: {} } },
    "train[seed=1]": stage({ device: true, precision: () => "f32" }),
    "train[seed=2]": stage({ device: true, precision: () => "f32" }),
  }) as unknown as [string, StageNode][],
);
const started = (id: string) => ({ type: "started", id }) as RunEvent;

test("the first stage that computes on the reference device is followed by one warning that says what to do", () => {
  const events: RunEvent[] = [];
  const onEvent = warningOfReference({ byId }, "auto", (event) => events.push(event));
  for (const id of byId.keys()) onEvent(started(id));
  expect(events.map(({ type, ...event }) => `${type} ${"id" in event && event.id}`)).toEqual([
    "started corpus",
    "started plot",
    "started train[seed=1]",
    "log train[seed=1]",
    "started train[seed=2]",
  ]);
  expect(events[3]).toMatchObject({ level: "warn", message: expect.stringContaining("apt-get install gcc") });
});

test("nobody is warned who named the reference device or has a compiler", () => {
  const warnings = (choice: "auto" | "reference") => {
    const events: RunEvent[] = [];
    const onEvent = warningOfReference({ byId }, choice, (event) => events.push(event));
    for (const id of byId.keys()) onEvent(started(id));
    return events.filter(({ type }) => type === "log").length;
  };
  expect(warnings("reference")).toBe(0);
  vi.stubEnv("CC", process.execPath); // seems to be one, which is all that a plan looks for
  expect(warnings("auto")).toBe(0);
});
