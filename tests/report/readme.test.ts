// The README shows numbers of the committed report: they must be its numbers.

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/util/package-root.ts";

const read = (file: string) => readFileSync(path.join(packageRoot(), file), "utf8");

/** Rows of the first table with this column, as cells by label. */
function rowsWith(text: string, label: string): Record<string, string>[] {
  const lines = text.split("\n");
  const cells = (line: string) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
  const head = lines.findIndex((line) => line.startsWith("|") && cells(line).includes(label));
  const labels = cells(lines[head]!);
  const end = lines.findIndex((line, index) => index > head && !line.startsWith("|"));
  return lines
    .slice(head + 2, end)
    .map((line) => Object.fromEntries(cells(line).map((cell, index) => [labels[index]!, cell])));
}

test("the README's table is table 2 of the committed report, without its columns of parameters and runs", () => {
  const published = rowsWith(read("reports/README.md"), "Validation bits/byte");
  const shown = rowsWith(read("README.md"), "Validation bits/byte");
  expect(shown.length).toBeGreaterThan(5);
  expect(shown).toEqual(published.map(({ Parameters: _, Runs: __, ...rest }) => rest));
});

test("the hash that the README audits stands in that table", () => {
  const [, hash] = /^\$ npx stlm-pipeline audit ([0-9a-f]{12})$/m.exec(read("README.md"))!;
  expect(read("reports/README.md")).toContain(`\`${hash}\``);
});
