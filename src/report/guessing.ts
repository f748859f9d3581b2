// Whether the trained models know anything of a benchmark: the mean over all runs against guessing. Two questions, which have
// different errors: do they do better than guessing on this benchmark, whose groups of items (BLiMP's paradigms, MMLU's
// subjects) are given, and would they on groups not yet written. Holm over the benchmarks, so that a report of models that
// guess claims something in at most one case of twenty, however many models and benchmarks it has.

import type { ReportDatabase, Row } from "./db.ts";
import { averagedParts, clusterErrors } from "./estimates.ts";
import { isAccuracy, isMetric, type MetricName, metricNames, metrics } from "./metrics.ts";
import { holmAdjust } from "./statistics/holm.ts";
import { tCdf } from "./statistics/student-t.ts";
import { ALPHA } from "./verdict.ts";

export type Finding = "above chance" | "above chance on its own groups" | "not told from guessing";

export interface GuessingTest {
  readonly metric: MetricName;
  /** Runs of all trained models; their answers are averaged per item before anything is tested. */
  readonly runs: number;
  readonly items: number;
  /** Percent. */
  readonly value: number;
  readonly chance: number;
  /** Standard error of `value` with the groups of items given and the items drawn; null where one item is all there is. */
  readonly se: number | null;
  /** One-sided, adjusted over the benchmarks. */
  readonly p: number;
  readonly above: boolean;
  /** The same with the groups drawn too (Liang & Zeger 1986); null where items stand in no groups. */
  readonly beyond: { readonly se: number | null; readonly p: number; readonly above: boolean } | null;
  /** The unigram control's figure and evaluation; null without one. */
  readonly unigram: number | null;
  readonly unigramDigests: readonly string[];
  readonly digests: readonly string[];
}

/** Creates the table `guessing`, behind tables/guessing.ts, from `parts`, `scores` and `estimates`. */
export async function createGuessingTests(database: ReportDatabase): Promise<readonly GuessingTest[]> {
  const tests = await testGuessing(database);
  await database.create(
    "guessing",
    {
      metric: "VARCHAR",
      label: "VARCHAR",
      runs: "INTEGER",
      items: "INTEGER",
      value: "DOUBLE",
      chance: "DOUBLE",
      se: "DOUBLE",
      p: "DOUBLE",
      beyondSe: "DOUBLE",
      beyondP: "DOUBLE",
      verdict: "VARCHAR",
      unigram: "DOUBLE",
      unigramDigests: "VARCHAR[]",
      digests: "VARCHAR[]",
      position: "INTEGER",
    },
    tests.map(({ beyond, ...test }, position) => ({
      ...test,
      label: metrics[test.metric].label,
      beyondSe: beyond?.se ?? null,
      beyondP: beyond?.p ?? null,
      verdict: findingOf({ ...test, beyond }),
      position,
    })),
  );
  return tests;
}

/** What the tests of one benchmark say, in the report's words. */
function findingOf({ above, beyond }: Pick<GuessingTest, "above" | "beyond">): Finding {
  if (!above) return "not told from guessing";
  return beyond && !beyond.above ? "above chance on its own groups" : "above chance";
}

/** One test a benchmark, in the order of the metrics. Length-normalised variants are other readings, not benchmarks. */
export async function testGuessing(database: ReportDatabase): Promise<readonly GuessingTest[]> {
  const drawn = new Map((await clusterErrors(database, "models")).map((row) => [row["metric"], row]));
  const given = new Map((await givenGroupErrors(database)).map((row) => [row["metric"], row]));
  const rows = await database.query(`
    SELECT s.metric, count(*) AS runs, max(s.items) AS items, any_value(c.value) AS chance,
           list(e.digest ORDER BY e.evaluation) AS digests,
           (SELECT any_value(u.value) FROM estimates u WHERE u.arm = 'unigram' AND u.metric = s.metric) AS unigram,
           (SELECT any_value(u.digests) FROM estimates u WHERE u.arm = 'unigram' AND u.metric = s.metric) AS unigramDigests
    FROM scores s JOIN evaluations e USING (evaluation) JOIN arms a USING (arm) JOIN chance c ON c.metric = s.metric
    WHERE NOT a.control AND NOT e.diverged AND s.value IS NOT NULL
    GROUP BY s.metric ORDER BY s.metric`);
  const found = rows
    .map((row) => ({ row, metric: row["metric"] as string }))
    .filter(({ metric }) => isMetric(metric) && isAccuracy(metric) && !metric.endsWith("_norm"))
    .map(({ row, metric }) => {
      const between = drawn.get(metric)!;
      const within = given.get(metric);
      const value = between["value"] as number;
      const chance = row["chance"] as number;
      const items = row["items"] as number;
      const clusters = between["clusters"] as number;
      const betweenGroups = errorAgainst(
        { value, chance, units: clusters },
        between["error"] as number | null,
        clusters - 1,
      );
      const withinGroups = within
        ? errorAgainst({ value, chance, units: items }, within["error"] as number, within["df"] as number)
        : betweenGroups;
      return {
        metric: metric as MetricName,
        ...{ runs: row["runs"] as number, items, value, chance, ...withinGroups },
        beyond: within ? betweenGroups : null,
        unigram: row["unigram"] as number | null,
        unigramDigests: (row["unigramDigests"] as string[] | null) ?? [],
        digests: row["digests"] as string[],
      };
    })
    .sort((a, b) => metricNames.indexOf(a.metric) - metricNames.indexOf(b.metric));
  const adjusted = holmAdjust(found.map(({ p }) => p));
  const adjustedBeyond = holmAdjust(found.map(({ p, beyond }) => beyond?.p ?? p));
  return found.map((test, index) => {
    const { beyond } = test;
    const [p, beyondP] = [adjusted[index]!, adjustedBeyond[index]!];
    return {
      ...test,
      ...{ p, above: p <= ALPHA },
      beyond: beyond && { se: beyond.se, p: beyondP, above: beyondP <= ALPHA },
    };
  });
}

/**
 * Stratified standard error of the models' mean, for benchmarks with at least two items in every group: with r_i an item's residual
 * about its group's own ratio and n_k the group's items, se^2 = sum_k n_k / (n_k - 1) sum_i r_i^2 / (sum denominator)^2. This is
 * what lm-evaluation-harness pools for a group of tasks.
 */
function givenGroupErrors(database: ReportDatabase): Promise<Row[]> {
  return database.query(`
    WITH averaged AS (${averagedParts("models")}),
    groups AS (SELECT metric, cluster, count(*) AS n, sum(numerator) / sum(denominator) AS value
               FROM averaged GROUP BY metric, cluster),
    residuals AS (SELECT metric, cluster, any_value(n) AS n, sum(denominator) AS total,
                         sum((numerator - groups.value * denominator) ** 2) AS squares
                  FROM averaged JOIN groups USING (metric, cluster)
                  GROUP BY metric, cluster ORDER BY metric, cluster)
    SELECT metric, sqrt(sum(n / (n - 1) * squares)) / sum(total) AS error, sum(n - 1)::INTEGER AS df
    FROM residuals GROUP BY metric HAVING min(n) > 1 ORDER BY metric`);
}

/** A mean's standard error, and its one-sided p against chance by Student's t. `units` are what the error is counted over. */
function errorAgainst(
  mean: { readonly value: number; readonly chance: number; readonly units: number },
  measured: number | null,
  df: number,
): { readonly se: number | null; readonly p: number } {
  const se = errorOf(measured, mean.chance, mean.units);
  return { se, p: se === null ? 1 : tCdf((mean.chance - mean.value) / se, df) };
}

/** Below this an error is rounding: all clusters agree. Points. */
const ROUNDING = 1e-9;

/** Where all agree, the measured error of 0 is never true: that of guessing once a unit stands in. */
function errorOf(measured: number | null, chance: number, units: number): number | null {
  if (measured === null || measured > ROUNDING) return measured;
  return Math.sqrt((chance * (100 - chance)) / units);
}
