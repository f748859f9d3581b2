import { expect, test } from "vitest";
import { Renderer } from "../../src/cli/renderer.ts";
import type { RunEvent } from "../../src/pipeline/events.ts";

test("a long stage shows its rate and the time left, measured anew in each pass", () => {
  let now = 0;
  const lines: string[] = [];
  const renderer = new Renderer({ write: (text) => lines.push(text), live: false, width: 120, now: () => now });
  const tell = (event: unknown) => renderer.onEvent(event as RunEvent);
  const progress = (seconds: number, done: number, note: string) => {
    now = seconds * 1000;
    tell({ type: "progress", id: "tokens", done, total: 1_000_000_000, unit: "bytes", note });
  };
  tell({ type: "started", id: "tokens", key: "sha256:0", reason: { kind: "new" }, log: "log.txt", attempt: 1 });
  progress(1, 0, "learning the tokenizer");
  progress(21, 400_000_000, "learning the tokenizer");
  progress(50, 0, "encoding");
  progress(70, 1_000_000, "encoding");
  expect(lines.at(1)).toBe(
    "  ...     tokens  400,000,000/1,000,000,000 bytes 40 %, 20.0 MB/s, 30.0 s left, learning the tokenizer\n",
  );
  expect(lines.at(-1)).toBe(
    "  ...     tokens  1,000,000/1,000,000,000 bytes 0 %, 50.0 kB/s, 5 h 33 min left, encoding\n",
  );
});

test("a command that failed shows the end of its log, where its own complaint stands; other mistakes speak for themselves", () => {
  const told = (code: string) => {
    const lines: string[] = [];
    const renderer = new Renderer({ write: (text) => lines.push(text), live: false, width: 120, now: () => 0 });
    const error = { message: "It failed.", code, expected: true };
    renderer.onEvent({ type: "failed", id: "figures", error, log: "log.txt", lastLines: ["NameError: plot"] });
    return lines.join("");
  };
  expect(told("COMMAND_FAILED")).toBe(
    "  FAILED  figures: It failed. (COMMAND_FAILED)\n          Log: log.txt\n          | NameError: plot\n",
  );
  expect(told("DATASET_NOT_FOUND")).not.toContain("NameError");
});
