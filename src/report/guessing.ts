// Whether the trained models know anything of a benchmark: one test each, of the mean over all runs against guessing. One
// question a benchmark, and Holm over the benchmarks, so that a report of models that guess claims something in at most
// one case of twenty, however many models and benchmarks it has.

import type { ReportDatabase } from "./db.ts";
import { clusterErrors } from "./estimates.ts";
import { isAccuracy, isMetric, type MetricName, metricNames, metrics } from "./metrics.ts";
import { holmAdjust } from "./statistics/holm.ts";
import { tCdf } from "./statistics/student-t.ts";
import { ALPHA } from "./verdict.ts";

export interface GuessingTest {
  readonly metric: MetricName;
  /** Runs of all trained models; their answers are averaged per item before anything is tested. */
  readonly runs: number;
  readonly items: number;
  /** Percent. */
  readonly value: number;
  readonly chance: number;
  /** Clustered standard error of `value`; null with one cluster of items, which nothing can be told from. */
  readonly se: number | null;
  /** One-sided, adjusted over the benchmarks. */
  readonly p: number;
  readonly above: boolean;
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
      verdict: "VARCHAR",
      unigram: "DOUBLE",
      unigramDigests: "VARCHAR[]",
      digests: "VARCHAR[]",
      position: "INTEGER",
    },
    tests.map(({ above, ...test }, position) => ({
      ...test,
      label: metrics[test.metric].label,
      verdict: above ? "above chance" : "not told from guessing",
      position,
    })),
  );
  return tests;
}

/** One test a benchmark, in the order of the metrics. Length-normalised variants are other readings, not benchmarks. */
export async function testGuessing(database: ReportDatabase): Promise<readonly GuessingTest[]> {
  const spreads = new Map((await clusterErrors(database, "models")).map((row) => [row["metric"], row]));
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
      const spread = spreads.get(metric)!;
      const value = spread["value"] as number;
      const chance = row["chance"] as number;
      const clusters = spread["clusters"] as number;
      const se = errorOf(spread["error"] as number | null, chance, clusters);
      return {
        metric: metric as MetricName,
        ...{ runs: row["runs"] as number, items: row["items"] as number, value, chance, se },
        p: se === null ? 1 : tCdf((chance - value) / se, clusters - 1),
        unigram: row["unigram"] as number | null,
        unigramDigests: (row["unigramDigests"] as string[] | null) ?? [],
        digests: row["digests"] as string[],
      };
    })
    .sort((a, b) => metricNames.indexOf(a.metric) - metricNames.indexOf(b.metric));
  const adjusted = holmAdjust(found.map(({ p }) => p));
  return found.map((test, index) => ({ ...test, p: adjusted[index]!, above: adjusted[index]! <= ALPHA }));
}

/** Below this an error is rounding: all clusters agree. Points. */
const ROUNDING = 1e-9;

/** Where all clusters agree, the measured error of 0 is never true: that of guessing once a cluster stands in. */
function errorOf(measured: number | null, chance: number, clusters: number): number | null {
  if (measured === null || measured > ROUNDING) return measured;
  return Math.sqrt((chance * (100 - chance)) / clusters);
}
