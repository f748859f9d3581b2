// The evidence for one registered claim: runs of both arms paired by seed, their differences per pair, and per item
// inside each pair. What cannot be compared as registered is said here, before any statistic is taken.

import { canonicalJson } from "../util/canonical-json.ts";
import { digestOf, hexOf } from "../util/digest.ts";
import type { ReportDatabase, Row } from "./db.ts";
import type { Hypothesis } from "./hypothesis.ts";
import { type Axes, agrees, type Evaluation, isDiverged, type Run, type Runs } from "./inputs.ts";
import { enumerate } from "./markdown.ts";
import { isAccuracy } from "./metrics.ts";
import { hierarchicalBootstrap, type PairedItems } from "./statistics/bootstrap.ts";
import { mean, standardDeviation } from "./statistics/descriptive.ts";
import { mcnemarExact } from "./statistics/mcnemar.ts";

/** One pair of runs, equal in every axis that the claim does not name. */
export interface Pair {
  /** `seed 1`, or `seed 1, size=10m`. */
  readonly label: string;
  readonly treatment: number;
  readonly control: number;
  /** treatment - control */
  readonly difference: number;
  /** Items that only one of the two answered rightly, and the exact p-value of McNemar's test; accuracies only. */
  readonly discordant: { readonly treatment: number; readonly control: number; readonly p: number } | undefined;
  readonly digests: readonly string[];
}

export type Evidence =
  | { readonly kind: "not-run" | "invalid"; readonly reason: string; readonly digests: readonly string[] }
  | {
      readonly kind: "measured";
      readonly pairs: readonly Pair[];
      /** Mean difference, treatment - control. */
      readonly effect: number;
      /** The step in which a pair's difference is counted: 100 / items for accuracies, 0 for bits per byte. */
      readonly resolution: number;
      /** Standard error of the effect over seeds, clusters and items, by the hierarchical bootstrap. */
      readonly bootstrapError: number;
      readonly clusters: number;
      /** Runs that have no partner with the same seed. */
      readonly unpaired: number;
      readonly digests: readonly string[];
    };

interface PairedRuns {
  readonly label: string;
  readonly treatment: Evaluation;
  readonly control: Evaluation;
}

/** Gathers the evidence for one claim. `resamples` is the number of bootstrap samples. */
export async function compare(
  database: ReportDatabase,
  runs: Runs,
  hypothesis: Hypothesis,
  resamples: number,
): Promise<Evidence> {
  const models = runs.evaluations.filter(({ control }) => control === undefined);
  const treated = models.filter(({ artifact }) => agrees(hypothesis.treatment, artifact.matrix));
  const controls = models.filter(({ artifact }) => agrees(hypothesis.control, artifact.matrix));
  const digests = [...treated, ...controls].map(({ artifact }) => artifact.digest);
  const stop = (kind: "not-run" | "invalid", reason: string): Evidence => ({ kind, reason, digests });

  const trained = runs.trainings.filter(
    ({ artifact }) => agrees(hypothesis.treatment, artifact.matrix) || agrees(hypothesis.control, artifact.matrix),
  );
  const diverged = new Set<string>([
    ...trained.filter(({ summary }) => summary.status === "diverged").map(nameOf),
    ...[...treated, ...controls].filter(isDiverged).map(nameOf),
  ]);
  if (diverged.size > 0) return stop("invalid", `${enumerate([...diverged])} diverged`);
  if (treated.length === 0) return stop("not-run", `no evaluated run has ${axesText(hypothesis.treatment)}`);
  if (controls.length === 0) return stop("not-run", `no evaluated run has ${axesText(hypothesis.control)}`);
  for (const arm of [treated, controls]) {
    const twin = arm.find(({ artifact }, i) => arm.findIndex((other) => other.artifact.digest === artifact.digest) < i);
    if (twin) return stop("invalid", `${nameOf(twin)} gave the same bytes as another seed of its arm`);
  }

  const paired = pairRuns(hypothesis, treated, controls);
  if (paired.length === 0) return stop("invalid", "its arms share no seed");
  return measure(database, runs, hypothesis, paired, treated.length + controls.length - 2 * paired.length, {
    resamples,
    stop,
  });
}

async function measure(
  database: ReportDatabase,
  runs: Runs,
  hypothesis: Hypothesis,
  paired: readonly PairedRuns[],
  unpaired: number,
  { resamples, stop }: { resamples: number; stop: (kind: "not-run" | "invalid", reason: string) => Evidence },
): Promise<Evidence> {
  const { metric } = hypothesis;
  const index = (run: Evaluation) => runs.evaluations.indexOf(run);
  const scores = await scoresOf(database, metric);
  const members = paired.flatMap(({ treatment, control }) => [treatment, control]);
  const unmeasured = members.find((run) => !scores.has(index(run)));
  if (unmeasured) return stop("not-run", `${nameOf(unmeasured)} has no ${metric}`);
  const infinite = members.find((run) => scores.get(index(run)) === null);
  if (infinite) return stop("invalid", `${nameOf(infinite)} has scores that are not finite`);

  const rows = await pairedRows(
    database,
    metric,
    paired.map(({ treatment, control }) => [index(treatment), index(control)]),
  );
  const items = arrange(rows, paired.length);
  if (!items) return stop("invalid", `its runs were not scored on the same items of ${metric}`);
  const pairs = paired.map(({ label, treatment, control }, p): Pair => {
    const [value, baseline] = [scores.get(index(treatment))!, scores.get(index(control))!];
    return {
      label,
      treatment: value,
      control: baseline,
      difference: value - baseline,
      discordant: isAccuracy(metric) ? discordance(items.numerators[p]!) : undefined,
      digests: [treatment.artifact.digest, control.artifact.digest],
    };
  });
  const digests = pairs.flatMap((pair) => pair.digests);
  const resampled = hierarchicalBootstrap(items, resamples, bootstrapSeed(hypothesis, digests));
  return {
    kind: "measured",
    pairs,
    effect: mean(pairs.map(({ difference }) => difference)),
    resolution: isAccuracy(metric) ? stepOf(items.denominator) : 0,
    bootstrapError: standardDeviation(resampled) ?? 0,
    clusters: items.clusterSizes.length,
    unpaired,
    digests,
  };
}

/** The generator's seed is a hash of what is resampled, so the error itself can be reproduced to the bit. */
function bootstrapSeed({ name, metric }: Hypothesis, digests: readonly string[]): number {
  return Number.parseInt(hexOf(digestOf("stlm.bootstrap.v1", { name, metric, digests })).slice(0, 8), 16);
}

/** Pairs runs whose matrices agree on every axis that the claim does not name; the seed is one of them. */
function pairRuns(
  { treatment, control }: Hypothesis,
  treated: readonly Evaluation[],
  controls: readonly Evaluation[],
): PairedRuns[] {
  const named = new Set([...Object.keys(treatment), ...Object.keys(control)]);
  const rest = ({ artifact }: Run) => Object.entries(artifact.matrix).filter(([axis]) => !named.has(axis));
  const key = (run: Run) => canonicalJson(Object.fromEntries(rest(run)));
  const partners = new Map(controls.map((run) => [key(run), run]));
  return treated.flatMap((run) => {
    const partner = partners.get(key(run));
    if (!partner) return [];
    const parts = rest(run).map(([axis, value]) => (axis === "seed" ? `seed ${value}` : `${axis}=${value}`));
    return [{ label: parts.join(", ") || "the only run", treatment: run, control: partner }];
  });
}

async function scoresOf(database: ReportDatabase, metric: string): Promise<Map<number, number | null>> {
  const rows = await database.query("SELECT evaluation, value FROM scores WHERE metric = $1 ORDER BY evaluation", [
    metric,
  ]);
  return new Map(rows.map((row) => [row["evaluation"] as number, row["value"] as number | null]));
}

/** Every item of every pair, clusters and items in order; an item that one side lacks has NULLs. */
function pairedRows(
  database: ReportDatabase,
  metric: string,
  pairs: readonly (readonly [number, number])[],
): Promise<Row[]> {
  const list = pairs.map(([treatment, control], pair) => `(${pair}, ${treatment}, ${control})`).join(", ");
  return database.query(
    `WITH pairs(pair, treatment, control) AS (VALUES ${list}),
      t AS (SELECT pair, cluster, item, numerator, denominator FROM pairs JOIN parts ON evaluation = treatment WHERE metric = $1),
      c AS (SELECT pair, cluster, item, numerator, denominator FROM pairs JOIN parts ON evaluation = control WHERE metric = $1)
    SELECT pair, cluster, item, t.numerator - c.numerator AS difference,
           CASE WHEN t.denominator = c.denominator THEN t.denominator END AS denominator
    FROM t FULL JOIN c USING (pair, cluster, item)
    ORDER BY cluster, item, pair`,
    [metric],
  );
}

/** Rows into arrays; undefined unless every pair has every item with the same weight on both sides. */
function arrange(rows: readonly Row[], pairs: number): PairedItems | undefined {
  const count = rows.length / pairs;
  if (!Number.isInteger(count)) return undefined;
  const numerators = Array.from({ length: pairs }, () => new Float64Array(count));
  const denominator = new Float64Array(count);
  const clusterSizes: number[] = [];
  let cluster: Row[string] | undefined;
  for (let i = 0; i < count; i++) {
    const first = rows[i * pairs]!;
    for (let p = 0; p < pairs; p++) {
      const row = rows[i * pairs + p]!;
      if (row["pair"] !== p || row["item"] !== first["item"] || row["denominator"] !== first["denominator"])
        return undefined;
      if (row["denominator"] === null) return undefined;
      numerators[p]![i] = row["difference"] as number;
    }
    denominator[i] = first["denominator"] as number;
    if (first["cluster"] !== cluster) clusterSizes.push(0);
    cluster = first["cluster"];
    clusterSizes[clusterSizes.length - 1]!++;
  }
  return { clusterSizes, numerators, denominator };
}

/** What one item more moves an accuracy, in points; the largest weight where weights differ. */
function stepOf(weights: Float64Array): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return (100 * weights.reduce((most, weight) => Math.max(most, weight), 0)) / total;
}

function discordance(differences: Float64Array): NonNullable<Pair["discordant"]> {
  const treatment = differences.filter((difference) => difference > 0).length;
  const control = differences.filter((difference) => difference < 0).length;
  return { treatment, control, p: mcnemarExact(treatment, control) };
}

function nameOf({ arm, seed }: Run): string {
  return seed === undefined ? arm : `${arm} (seed ${seed})`;
}

function axesText(axes: Axes): string {
  return enumerate(Object.entries(axes).map(([axis, value]) => `${axis}=${value}`));
}
