import { expect, test } from "vitest";
import { ReportDatabase } from "../../src/report/db.ts";
import { createEstimates, type Estimate } from "../../src/report/estimates.ts";
import { readRuns } from "../../src/report/inputs.ts";
import { loadRuns } from "../../src/report/load.ts";
import type { MetricName } from "../../src/report/metrics.ts";
import { standardError } from "../../src/report/statistics/descriptive.ts";
import { arm, SyntheticLab, type SyntheticRun } from "./synthetic-lab.ts";

async function estimatesOf(runs: readonly SyntheticRun[]) {
  using lab = new SyntheticLab();
  const database = await ReportDatabase.open();
  try {
    await loadRuns(database, readRuns(await lab.inputs(runs)));
    const estimates = await createEstimates(database);
    const rows = await database.query(`
      SELECT metric, cluster, avg(numerator) AS numerator, avg(denominator) AS denominator
      FROM parts JOIN evaluations USING (evaluation) WHERE arm = 'baseline' GROUP BY metric, cluster, item`);
    const find = (name: string, metric: MetricName) =>
      estimates.find((each) => each.arm === name && each.metric === metric) as Estimate;
    return { find, rows };
  } finally {
    database.close();
  }
}

test("the error over items is the cluster-robust one, by hand over the same rows", async () => {
  const { find, rows } = await estimatesOf(arm("baseline", 1.6, [0, 0.01], { blimp: 0.7 }));
  for (const metric of ["val_bits_per_byte", "blimp"] as const) {
    const own = rows.filter((row) => row["metric"] === metric);
    const total = own.reduce((sum, row) => sum + (row["denominator"] as number), 0);
    const value = own.reduce((sum, row) => sum + (row["numerator"] as number), 0) / total;
    const clusters = new Map<unknown, number>();
    for (const { cluster, numerator, denominator } of own) {
      const residual = (numerator as number) - value * (denominator as number);
      clusters.set(cluster, (clusters.get(cluster) ?? 0) + residual);
    }
    const squares = [...clusters.values()].reduce((sum, residual) => sum + residual ** 2, 0);
    const error = Math.sqrt((clusters.size / (clusters.size - 1)) * squares) / total;
    expect(find("baseline", metric).itemError! / error, metric).toBeCloseTo(1, 9);
    expect(find("baseline", metric).value, metric).toBeCloseTo(value, 9);
  }
});

test("documents of equal size give the plain standard error of their mean", async () => {
  const { find, rows } = await estimatesOf(arm("baseline", 1.6, [0], { blimp: 0.7 }));
  const correct = rows.filter((row) => row["metric"] === "hellaswag").map((row) => row["numerator"] as number);
  expect(find("baseline", "hellaswag").itemError! / standardError(correct)!).toBeCloseTo(1, 9);
});

test("the error joins seeds and items, and is unknown with one run", async () => {
  const { find } = await estimatesOf([...arm("baseline", 1.6, [0, 0.05]), ...arm("single", 1.7, [0])]);
  const both = find("baseline", "val_bits_per_byte");
  expect(both.se).toBeCloseTo(Math.hypot(both.seedError!, both.itemError!), 12);
  expect(both.low!).toBeLessThan(both.value - 1.9 * both.se!);
  const single = find("single", "val_bits_per_byte");
  expect(single).toMatchObject({ runs: 1, se: null, seedError: null });
  expect(single.low!).toBeLessThan(single.value);
});

test("a model that answers everything rightly is not certain to", async () => {
  const { find } = await estimatesOf(arm("baseline", 1.6, [0, 0.01], { blimp: 1 }));
  const perfect = find("baseline", "blimp");
  expect(perfect.value).toBeCloseTo(100, 9);
  expect(perfect.se).toBeGreaterThan(0);
  expect(perfect.low).toBeLessThan(99);
  expect(perfect.high).toBeCloseTo(100, 9);
});
