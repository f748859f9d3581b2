import { expect, test } from "vitest";
import { ReportDatabase } from "../../src/report/db.ts";
import { createEstimates } from "../../src/report/estimates.ts";
import { createGuessingTests, testGuessing } from "../../src/report/guessing.ts";
import { readRuns } from "../../src/report/inputs.ts";
import { loadRuns } from "../../src/report/load.ts";
import { CounterRandom, PURPOSE } from "../../src/util/philox.ts";
import { arm, SyntheticLab } from "./synthetic-lab.ts";

const RUNS = 6;
/** Benchmarks with their clusters' sizes, as unequal as paradigms and subjects are. */
const BENCHMARKS = [
  { metric: "blimp", choices: 2, sizes: Array.from({ length: 20 }, (_, cluster) => 2 + (cluster % 4)) },
  { metric: "mmlu", choices: 4, sizes: Array.from({ length: 15 }, (_, cluster) => 3 + (cluster % 6)) },
  { metric: "arc-easy", choices: 4, sizes: new Array<number>(60).fill(1) },
  { metric: "winogrande", choices: 2, sizes: new Array<number>(60).fill(1) },
];

/** Rows of `parts` of models that guess: half of the time as all others do, since seeds of one recipe guess alike. */
function guesses(draw: number): string {
  const random = new CounterRandom(draw, PURPOSE.sample, 7);
  let next = 0;
  return BENCHMARKS.flatMap(({ metric, choices, sizes }) =>
    sizes.flatMap((size, cluster) =>
      Array.from({ length: size }, (_, item) => {
        const weight = metric === "blimp" ? 1 / size : 1;
        const shared = random.uniform(next++);
        return Array.from({ length: RUNS }, (_, run) => {
          const own = random.uniform(next++);
          const right = (random.uniform(next++) < 0.5 ? shared : own) < 1 / choices;
          return `(${run}, '${metric}', '${cluster}', '${cluster}-${item}', ${right ? 100 * weight : 0}::DOUBLE, ${weight}::DOUBLE)`;
        });
      }).flat(),
    ),
  ).join(", ");
}

test("reports of models that guess claim knowledge of a benchmark in at most 5 % of cases", async () => {
  const database = await ReportDatabase.open();
  try {
    await database.run(`
      CREATE TABLE arms AS SELECT 'model' AS arm, 0 AS position, false AS control;
      CREATE TABLE evaluations AS SELECT i::INTEGER AS evaluation, 'model' AS arm, 'd' || i AS digest, false AS diverged FROM range(${RUNS}) t(i);
      CREATE TABLE chance AS SELECT * FROM (VALUES ${BENCHMARKS.map(({ metric, choices }) => `('${metric}', ${100 / choices}::DOUBLE)`).join(", ")}) t(metric, value);
      CREATE TABLE estimates (arm VARCHAR, metric VARCHAR, value DOUBLE, digests VARCHAR[])`);
    const reports = 100;
    let claiming = 0;
    for (let report = 0; report < reports; report++) {
      await database.run(`
        CREATE OR REPLACE TABLE parts AS SELECT * FROM (VALUES ${guesses(report)}) t(evaluation, metric, cluster, item, numerator, denominator);
        CREATE OR REPLACE TABLE scores AS SELECT evaluation, metric, sum(numerator) / sum(denominator) AS value, count(*) AS items
          FROM parts GROUP BY evaluation, metric`);
      const tests = await testGuessing(database);
      expect(tests).toHaveLength(BENCHMARKS.length);
      if (tests.some(({ above }) => above)) claiming++;
    }
    // 5 % plus two standard errors of a share counted over these reports.
    expect(claiming / reports).toBeLessThan(0.05 + 2 * Math.sqrt((0.05 * 0.95) / reports));
    expect(claiming).toBeGreaterThan(0);
  } finally {
    database.close();
  }
}, 120_000);

async function guessingOf(blimp: number) {
  using lab = new SyntheticLab();
  const database = await ReportDatabase.open();
  try {
    const runs = [...arm("a", 1.6, [0, 0.01], { blimp }), ...arm("b", 1.7, [0, 0.01], { blimp })];
    await loadRuns(database, readRuns(await lab.inputs(runs)));
    await createEstimates(database);
    return await createGuessingTests(database);
  } finally {
    database.close();
  }
}

test("models that know a benchmark are above chance there, models below chance never", async () => {
  const [blimp, hellaswag] = await guessingOf(0.8);
  expect(blimp).toMatchObject({ metric: "blimp", runs: 4, items: 200, chance: 50, above: true });
  expect(hellaswag).toMatchObject({ metric: "hellaswag", above: false });
  const [poor] = await guessingOf(0.2);
  expect(poor!.p).toBeGreaterThan(0.99);
  expect(poor!.unigram!).toBeGreaterThan(poor!.value);
});

/** Tests of one benchmark of `groups` groups of `size` pairs, where a model is right on all pairs of the first `known` groups. */
async function groupedTest(groups: number, size: number, known: number) {
  const database = await ReportDatabase.open();
  try {
    const random = new CounterRandom(5, PURPOSE.sample, 7);
    const rows = Array.from({ length: groups * size }, (_, index) => {
      const group = Math.floor(index / size);
      const right = group < known || random.uniform(index) < 0.5;
      return `(0, 'blimp', 'g${group}', 'i${index}', ${right ? 100 : 0}::DOUBLE, 1::DOUBLE)`;
    });
    await database.run(`
      CREATE TABLE arms AS SELECT 'model' AS arm, 0 AS position, false AS control;
      CREATE TABLE evaluations AS SELECT 0::INTEGER AS evaluation, 'model' AS arm, 'd' AS digest, false AS diverged;
      CREATE TABLE chance AS SELECT 'blimp' AS metric, 50::DOUBLE AS value;
      CREATE TABLE estimates (arm VARCHAR, metric VARCHAR, value DOUBLE, digests VARCHAR[]);
      CREATE TABLE parts AS SELECT * FROM (VALUES ${rows.join(", ")}) t(evaluation, metric, cluster, item, numerator, denominator);
      CREATE TABLE scores AS SELECT 0::INTEGER AS evaluation, 'blimp' AS metric, 60::DOUBLE AS value, ${rows.length} AS items`);
    return (await testGuessing(database))[0]!;
  } finally {
    database.close();
  }
}

test("knowing one group of ten is above chance on these groups, and not shown beyond them", async () => {
  const one = await groupedTest(10, 50, 1);
  expect(one.above).toBe(true);
  expect(one.beyond!.above).toBe(false);
  expect(one.beyond!.se).toBeGreaterThan(1.2 * one.se!);
  const most = await groupedTest(10, 50, 8);
  expect(most).toMatchObject({ above: true, beyond: { above: true } });
});

test("the error within groups is that of pairs drawn in each, as lm-evaluation-harness pools it", async () => {
  const { se, beyond } = await groupedTest(1, 10, 0);
  expect(beyond!.se).toBeNull();
  // One group of ten: sqrt(p (1 - p) / (n - 1)), with the harness's n - 1.
  const shares = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((right) => 100 * Math.sqrt(((right / 10) * (1 - right / 10)) / 9));
  expect(shares.some((share) => Math.abs(share - se!) < 1e-9)).toBe(true);
});

test("a perfect score has no spread of its own and is still above chance", async () => {
  const [perfect] = await guessingOf(1);
  expect(perfect).toMatchObject({ value: expect.closeTo(100, 9), above: true });
  expect(perfect!.se).toBeGreaterThan(1);
  expect(perfect!.p).toBeLessThan(0.001);
});
