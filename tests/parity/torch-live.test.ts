// The golden numbers of torch-forward.test.ts against the PyTorch of this machine, where it has one: it computes them anew.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const PYTHON = process.env["STLM_TORCH_PYTHON"] ?? "/usr/bin/python3";
const LIMIT_MS = 120_000;
/** Relative to 1 or to the value: double precision through forty steps, on another processor and version. */
const TOLERANCE = 1e-6;

function torchVersion(): string | undefined {
  try {
    const args = ["-c", "import torch, numpy; print(torch.__version__)"];
    return execFileSync(PYTHON, args, {
      encoding: "utf8",
      timeout: LIMIT_MS,
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
}

/** All numbers of a JSON value by their place in it. */
function* numbers(value: unknown, place = ""): Generator<[place: string, number]> {
  if (typeof value === "number") yield [place, value];
  else if (typeof value === "object" && value !== null) {
    for (const [key, inner] of Object.entries(value)) yield* numbers(inner, `${place}/${key}`);
  }
}

const version = torchVersion();

test("PyTorch computes the golden losses, logits, gradients and trainings again", { timeout: LIMIT_MS }, ({ skip }) => {
  skip(version === undefined, `${PYTHON} has no torch and numpy; STLM_TORCH_PYTHON can name a Python that has`);
  const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-torch-"));
  try {
    const file = path.join(folder, "torch-forward.json");
    const script = fileURLToPath(new URL("torch_forward.py", import.meta.url));
    execFileSync(PYTHON, [script, file], { timeout: LIMIT_MS, stdio: ["ignore", "ignore", "pipe"] });
    const live = new Map(numbers(JSON.parse(readFileSync(file, "utf8"))));
    const golden = new Map(
      numbers(JSON.parse(readFileSync(new URL("../golden/torch-forward.json", import.meta.url), "utf8"))),
    );
    expect([...live.keys()]).toEqual([...golden.keys()]);
    const apart = [...golden].filter(
      ([place, value]) => !(Math.abs(live.get(place)! - value) <= TOLERANCE * Math.max(1, Math.abs(value))),
    );
    expect(apart, `torch ${version}`).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
