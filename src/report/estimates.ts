// One estimate per arm and metric: the mean over seeds, its standard error from both sources (seeds and items), and a
// 95 % interval from that error with Satterthwaite's degrees of freedom.

import type { ReportDatabase, Row } from "./db.ts";
import { isAccuracy, isMetric, type MetricName, metricNames } from "./metrics.ts";
import { mean, standardError } from "./statistics/descriptive.ts";
import { type Interval, wilsonInterval } from "./statistics/proportion.ts";
import { normalQuantile } from "./statistics/special.ts";
import { satterthwaite, tQuantile } from "./statistics/student-t.ts";

export interface Estimate {
  readonly arm: string;
  readonly metric: MetricName;
  /** Runs that were trained to the end and have finite scores. */
  readonly runs: number;
  readonly value: number;
  /** Between seeds; null with one run. */
  readonly seedError: number | null;
  /** Between clusters of items (Liang & Zeger 1986); null with one cluster. */
  readonly itemError: number | null;
  /** Both together, sqrt(seed^2 + item^2); null with one run, whose spread between seeds nobody knows. */
  readonly se: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly digests: readonly string[];
}

/** Creates the table `estimates` from `scores` and `parts`. */
export async function createEstimates(database: ReportDatabase): Promise<readonly Estimate[]> {
  const spreads = new Map(
    (await clusterErrors(database, "arms")).map((row) => [`${row["arm"]} ${row["metric"]}`, row]),
  );
  const groups = await database.query(`
    SELECT arm, metric, list(value ORDER BY evaluation) AS "values", list(digest ORDER BY evaluation) AS digests,
           max(items) AS items
    FROM scores JOIN evaluations USING (evaluation) JOIN arms USING (arm)
    WHERE NOT diverged AND value IS NOT NULL
    GROUP BY arm, metric, position ORDER BY position, metric`);
  const estimates = groups
    .filter((group) => isMetric(group["metric"] as string))
    .map((group) => estimateOf(group, spreads.get(`${group["arm"]} ${group["metric"]}`)));
  estimates.sort((a, b) => metricNames.indexOf(a.metric) - metricNames.indexOf(b.metric));
  await database.create(
    "estimates",
    {
      arm: "VARCHAR",
      metric: "VARCHAR",
      runs: "INTEGER",
      value: "DOUBLE",
      seedError: "DOUBLE",
      itemError: "DOUBLE",
      se: "DOUBLE",
      low: "DOUBLE",
      high: "DOUBLE",
      digests: "VARCHAR[]",
    },
    estimates.map((estimate) => ({ ...estimate })),
  );
  return estimates;
}

/** SQL of one row per item with the answers of an arm's runs averaged, or of the runs of all trained models (arm `models`). */
export function averagedParts(of: "arms" | "models"): string {
  return `
      SELECT label AS arm, metric, cluster, item, avg(numerator) AS numerator, avg(denominator) AS denominator
      FROM parts JOIN evaluations USING (evaluation) JOIN scores USING (evaluation, metric)
           JOIN (SELECT arm, ${of === "arms" ? "arm" : "'models'"} AS label FROM arms
                 ${of === "arms" ? "" : "WHERE NOT control"}) USING (arm)
      WHERE NOT diverged AND value IS NOT NULL
      GROUP BY label, metric, cluster, item ORDER BY label, metric, cluster, item`;
}

/**
 * Cluster-robust standard error of a ratio of sums, for the average of an arm's runs, or of the runs of all trained models: with r_i = numerator_i - value *
 * denominator_i, se^2 = C / (C - 1) * sum over clusters of (sum r_i)^2 / (sum denominator)^2.
 */
export function clusterErrors(database: ReportDatabase, of: "arms" | "models"): Promise<Row[]> {
  return database.query(`
    WITH averaged AS (${averagedParts(of)}),
    totals AS (SELECT arm, metric, sum(numerator) / sum(denominator) AS value, sum(denominator) AS total
               FROM averaged GROUP BY arm, metric),
    residuals AS (SELECT arm, metric, cluster, any_value(value) AS value, any_value(total) AS total,
                         sum(numerator - value * denominator) AS residual
                  FROM averaged JOIN totals USING (arm, metric)
                  GROUP BY arm, metric, cluster ORDER BY arm, metric, cluster)
    SELECT arm, metric, any_value(value) AS value, count(*) AS clusters,
           CASE WHEN count(*) > 1 THEN sqrt(count(*) / (count(*) - 1) * sum(residual * residual)) / any_value(total) END
             AS error
    FROM residuals GROUP BY arm, metric ORDER BY arm, metric`);
}

/** Below this an error is rounding: all items agree. In the metric's unit. */
const ROUNDING = 1e-9;

function estimateOf(group: Row, spread: Row | undefined): Estimate {
  const values = group["values"] as number[];
  const metric = group["metric"] as MetricName;
  const value = mean(values);
  const seedError = standardError(values) ?? null;
  const itemError = (spread?.["error"] as number | null | undefined) ?? null;
  const clusters = (spread?.["clusters"] as number | undefined) ?? 1;
  const joined = Math.hypot(seedError ?? 0, itemError ?? 0);
  const error = joined > ROUNDING ? joined : 0;
  const df = satterthwaite([
    { variance: (seedError ?? 0) ** 2, df: values.length - 1 },
    { variance: (itemError ?? 0) ** 2, df: clusters - 1 },
  ]);
  const bounds = intervalOf(metric, value, { error, df, items: group["items"] as number });
  return {
    arm: group["arm"] as string,
    metric,
    runs: values.length,
    value,
    seedError,
    itemError,
    se: seedError === null ? null : errorOf(error, bounds),
    low: bounds?.low ?? null,
    high: bounds?.high ?? null,
    digests: group["digests"] as string[],
  };
}

/** All items right, or all wrong, gives an error of 0, which is never true: fall back on the interval's width. */
function errorOf(error: number, bounds: Interval | undefined): number | null {
  if (error > 0) return error;
  return bounds ? (bounds.high - bounds.low) / (2 * normalQuantile(0.975)) : null;
}

/** Undefined where nothing is known of the spread. An accuracy's interval is Wilson's, which stays inside 0 to 100. */
function intervalOf(
  metric: MetricName,
  value: number,
  { error, df, items }: { readonly error: number; readonly df: number; readonly items: number },
): Interval | undefined {
  if (!isAccuracy(metric)) {
    if (error === 0) return undefined;
    const half = tQuantile(0.975, df) * error;
    return { low: value - half, high: value + half };
  }
  const share = value / 100;
  // The effective number of items (Korn & Graubard 1998): as many independent ones as would give this error, and fewer
  // by (z / t)^2 where the error itself is known from few seeds or clusters.
  const scale = error > 0 ? (normalQuantile(0.975) / tQuantile(0.975, df)) ** 2 : 1;
  const effectiveItems = error > 0 ? (scale * share * (1 - share)) / (error / 100) ** 2 : items;
  const { low, high } = wilsonInterval(share, effectiveItems);
  return { low: 100 * low, high: 100 * high };
}
