import { expect, test } from "vitest";
import { ReportDatabase } from "../../src/report/db.ts";
import { defineTable, renderTable, type Table } from "../../src/report/table.ts";

async function render(rows: string, table: Partial<Table> = {}) {
  const database = await ReportDatabase.open();
  try {
    return await renderTable(
      database,
      defineTable({
        name: "losses",
        title: "Losses",
        caption: "Lower is better.",
        sql: `SELECT * FROM (VALUES ${rows}) AS losses(model, loss, sd, low, high, digests)`,
        key: ["model"],
        columns: {
          model: { label: "Model" },
          loss: { label: "Loss", digits: 2, spread: "sd", interval: ["low", "high"], best: "min" },
        },
        ...table,
      }),
    );
  } finally {
    database.close();
  }
}

const line = (markdown: string | undefined, model: string) =>
  markdown!.split("\n").find((text) => text.startsWith(`| ${model} `));

test("a number stands with its spread, and becomes a cell with its interval and digests", async () => {
  const { markdown, cells } = await render("('gpt', 2.71549, 0.05, 2.6, 2.9, ['sha256:aa'])");
  expect(line(markdown, "gpt")).toContain("2.72 ± 0.05");
  expect(cells).toEqual([
    {
      id: "losses/gpt/loss",
      value: 2.71549,
      se: 0.05,
      low: 2.6,
      high: 2.9,
      text: "2.72 ± 0.05",
      digests: ["sha256:aa"],
    },
  ]);
});

test("the best is marked only where its interval ends before every other begins", async () => {
  const clear = await render("('a', 1.0, 0.1, 0.8, 1.2, []), ('b', 2.0, 0.1, 1.8, 2.2, [])");
  expect(line(clear.markdown, "a")).toContain("**1.00 ± 0.10**");
  expect(line(clear.markdown, "b")).not.toContain("**");
  const noisy = await render("('a', 1.0, 0.1, 0.8, 1.9, []), ('b', 2.0, 0.1, 1.8, 2.2, [])");
  expect(noisy.markdown).not.toContain("**1.00");
  const unknown = await render("('a', 1.0, NULL, NULL, NULL, []), ('b', 2.0, 0.1, 1.8, 2.2, [])");
  expect(unknown.markdown).not.toContain("**1.00");
});

test("for a score the highest is best", async () => {
  const columns: Table["columns"] = {
    model: { label: "Model" },
    loss: { label: "Score", digits: 0, interval: ["low", "high"], best: "max" },
  };
  const { markdown } = await render("('a', 10, 1, 8, 12, []), ('b', 20, 1, 18, 22, []), ('c', 5, 1, 3, 7, [])", {
    columns,
  });
  expect(line(markdown, "b")).toContain("**20**");
});

test("a missing value is a dash, a query without rows is no table, and an empty optional column is left out", async () => {
  const columns: Table["columns"] = {
    model: { label: "Model" },
    loss: { label: "Loss" },
    sd: { label: "SD", optional: true },
  };
  const { markdown, cells } = await render("('a', NULL::DOUBLE, NULL::DOUBLE, 1, 2, [])", { columns });
  expect(line(markdown, "a")).toContain("–");
  expect(markdown).not.toContain("SD");
  expect(cells).toEqual([]);
  const empty = await render("('a', 1, 1, 1, 1, [])", { sql: "SELECT 1 AS model WHERE false" });
  expect(empty).toEqual({ markdown: undefined, cells: [] });
});
