// The sentences of the report, each made from data: what was run, the headline, verdicts, negative results, limits.

import type { ReportDatabase, Row } from "./db.ts";
import type { Finding } from "./guessing.ts";
import { cite, enumerate, formatNumber, formatP, plural } from "./markdown.ts";
import { type MetricName, metrics } from "./metrics.ts";
import { ALPHA, MOST_PAIRS, POWER, type Verdict, verdicts as vocabulary } from "./verdict.ts";

/** The first paragraph: what was trained, who leads and whether that means anything, and what became of the claims. */
export async function headline(database: ReportDatabase, verdicts: readonly Verdict[]): Promise<string> {
  const [counts] = await database.query(`
    SELECT count(*) AS runs, count(DISTINCT arm) AS arms, count(*) FILTER (WHERE status = 'diverged') AS diverged FROM trainings`);
  const runs = counts!["runs"] as number;
  const diverged = counts!["diverged"] as number;
  const sentences = [
    runs === 0
      ? "No training run was given to this report."
      : `${plural(runs, "training run")} of ${plural(counts!["arms"] as number, "model")}, ${diverged === 0 ? "none" : diverged} of them diverged.`,
    ...(await leader(database)),
    ...(await benchmarkSentence(database)),
    verdictSentence(verdicts),
  ];
  return sentences.join(" ");
}

async function leader(database: ReportDatabase): Promise<string[]> {
  const rows = await database.query(`
    SELECT arm, runs, value, se, low, high, digests FROM estimates JOIN arms USING (arm)
    WHERE metric = 'val_bits_per_byte' AND NOT control ORDER BY value, position`);
  const best = rows[0];
  if (!best) return [];
  const digests = (best["digests"] as string[]).map(cite).join(" ");
  const value = formatNumber(best["value"] as number, 4) + spread(best["se"], 4);
  const others = rows.slice(1);
  const clear = others.every(
    (row) => typeof best["high"] === "number" && (best["high"] as number) < (row["low"] as number),
  );
  const standing =
    others.length === 0
      ? ""
      : clear
        ? "; its 95 % interval excludes those of all other models"
        : "; its 95 % interval overlaps another model's, so the order may be noise";
  const unigram = await database.query(
    "SELECT value, digests FROM estimates WHERE arm = 'unigram' AND metric = 'val_bits_per_byte'",
  );
  const control = unigram.map(
    (row) =>
      `A unigram model has ${formatNumber(row["value"] as number, 4)} (${(row["digests"] as string[]).map(cite).join(" ")}).`,
  );
  return [
    `Lowest validation bits per byte: ${best["arm"]} with ${value} (${plural(best["runs"] as number, "run")}, ${digests})${standing}.`,
    ...control,
  ];
}

function spread(error: Row[string] | undefined, digits: number): string {
  return typeof error === "number" ? ` ± ${formatNumber(error, digits)}` : "";
}

/** What the tests of guessing.ts found, and where a unigram model, which reads no context, does better. */
async function benchmarkSentence(database: ReportDatabase): Promise<string[]> {
  const rows = await database.query("SELECT * FROM guessing ORDER BY position");
  const number = (row: Row, column: string) => formatNumber(row[column] as number, 1);
  const found = (...findings: Finding[]) => rows.filter((row) => findings.includes(row["verdict"] as Finding));
  const others = found("not told from guessing");
  const own = found("above chance on its own groups");
  const figures = found("above chance", "above chance on its own groups").map(
    (row) =>
      `${row["label"]} (${number(row, "value")}${spread(row["se"], 1)} against ${number(row, "chance")}, adjusted p ${formatEquals(row["p"] as number)})`,
  );
  const within = own.map(
    (row) => `${row["label"]} (± ${number(row, "beyondSe")}, p ${formatEquals(row["beyondP"] as number)})`,
  );
  const better = rows.filter((row) => ((row["unigram"] as number | null) ?? 0) > (row["value"] as number));
  const unigram = better.map((row) => {
    const digests = (row["unigramDigests"] as string[]).map(cite).join(" ");
    return `${number(row, "unigram")} on ${row["label"]} against the models' ${number(row, "value")} (${digests})`;
  });
  return [
    ...(figures.length > 0 ? [`The mean of all runs lies above chance on ${enumerate(figures)}.`] : []),
    ...(own.length > 0
      ? [`That it would on other groups of items than these is not shown for ${enumerate(within)}.`]
      : []),
    ...(others.length > 0 ? [`Not told from guessing: ${enumerate(others.map((row) => String(row["label"])))}.`] : []),
    ...(unigram.length > 0
      ? [`A unigram model, which reads no context, scores higher than the models' mean: ${enumerate(unigram)}.`]
      : []),
  ];
}

function formatEquals(p: number): string {
  const text = formatP(p);
  return text.startsWith("<") ? text : `= ${text}`;
}

function verdictSentence(verdicts: readonly Verdict[]): string {
  if (verdicts.length === 0) return "No claim was registered.";
  const counted = vocabulary
    .map((name) => ({ name, count: verdicts.filter(({ verdict }) => verdict === name).length }))
    .filter(({ count }) => count > 0)
    .map(({ name, count }) => `${count} ${name}`);
  return `Of ${plural(verdicts.length, "registered claim")}: ${enumerate(counted)}.`;
}

/** One item a claim: what was claimed and what became of it. */
export function claimList(verdicts: readonly Verdict[]): string {
  if (verdicts.length === 0) return "No claim was registered in pipeline.yaml.";
  return verdicts
    .map(
      ({ hypothesis, verdict, reason }) =>
        `- **${verdict}** \`${hypothesis.name}\`: ${hypothesis.claim} ${capitalize(reason)}.`,
    )
    .join("\n");
}

/** What it would take to decide the claims that were measured and left open; undefined where there is none. */
export function outlook(verdicts: readonly Verdict[]): string | undefined {
  const open = verdicts.filter(({ verdict, effect }) => verdict === "inconclusive" && effect !== null);
  if (open.length === 0) return undefined;
  const parts = open.map(({ hypothesis, pairs, pairsNeeded }) => {
    const name = `\`${hypothesis.name}\``;
    if (pairs.length < 2) return `${name} a second seed, to see any spread at all`;
    if (pairsNeeded === null)
      return `${name} more than ${plural(MOST_PAIRS, "pair")} of runs (${pairs.length} now), or more items`;
    return `${name} about ${plural(pairsNeeded, "pair")} of runs (${pairs.length} now)`;
  });
  return (
    "What it would take: were effects and spreads as measured here, to tell each open claim's effect from zero with about " +
    `${formatNumber(100 * POWER, 0)} % power at the family's strictest level needs, for ${enumerate(parts)}. ` +
    "These numbers rest on few runs and are themselves uncertain."
  );
}

/** The rule in the reader's words; its reasons stand in docs/decisions/0004-verdict-rule.md. */
export function ruleText(resamples: number): string {
  return [
    "How a verdict is reached. Runs of both arms are paired by seed. Two tests must agree, and the larger p counts: Student's paired t",
    "over the differences per seed (pairs − 1 degrees of freedom), and the same over seeds and items together, with the standard error of a",
    `bootstrap of seeds, then clusters, then items (${plural(resamples, "resample")}) and Satterthwaite's degrees of freedom.`,
    `p-values are adjusted by Holm over the family of all registered claims; the level is ${formatNumber(100 * ALPHA, 0)} %, once for differences and once for`,
    `equivalence: at most ${formatNumber(100 * ALPHA, 0)} % for any wrong *supported* or *refuted*, at most ${formatNumber(100 * ALPHA, 0)} % for any wrong *equivalent*, so at most ${formatNumber(200 * ALPHA, 0)} % for a wrong verdict of either kind.`,
    "*Equivalent*: both tests exclude differences as large as the smallest effect of interest (two one-sided tests, adjusted likewise).",
    "Otherwise *supported* or *refuted*: both exclude zero, in the claimed direction or the other. Otherwise *inconclusive*.",
    "*Invalid*: not comparable as registered (a run diverged, other items, identical seeds). *Not-run*: an arm or its metric is missing.",
    `The minimum detectable effect (MDE) is the larger of the two tests' for ${formatNumber(100 * POWER, 0)} % power each at the family's strictest level, with the spread as measured;`,
    `since both must pass, the power there is at most ${formatNumber(100 * POWER, 0)} %.`,
  ].join("\n");
}

/** Claims that are not supported, and runs that diverged. */
export async function negativeResults(database: ReportDatabase, verdicts: readonly Verdict[]): Promise<string> {
  const open = verdicts.filter(({ verdict }) => verdict !== "supported");
  const lines = open.map(negativeLine);
  if (verdicts.length === 0) lines.push("- No claim was registered, so none failed.");
  else if (open.length === 0) lines.push("- Every registered claim is supported.");
  const diverged = await database.query(`
    SELECT arm, seed, steps, tokens, reason, digest FROM trainings WHERE status = 'diverged' ORDER BY training`);
  lines.push(...diverged.map(divergedLine));
  if (diverged.length === 0) lines.push("- No training run diverged.");
  return lines.join("\n");
}

function negativeLine({
  hypothesis,
  verdict,
  reason,
  effect,
  seeds,
  joint,
  pairs,
  minimumDetectable,
}: Verdict): string {
  const { effectDigits: digits, unit } = metrics[hypothesis.metric];
  const parts = [`- \`${hypothesis.name}\` is ${verdict}: ${reason}.`];
  if (effect !== null) {
    const interval = seeds ?? joint;
    const range = interval
      ? `, 95 % [${formatNumber(interval.low, digits)}, ${formatNumber(interval.high, digits)}]`
      : "";
    const source = seeds ? "" : " over items alone";
    parts.push(
      `Effect ${formatNumber(effect, digits)} ${unit}${range}${source}, from ${plural(pairs.length, "pair")}.`,
    );
    parts.push(
      minimumDetectable === null
        ? "Minimum detectable effect: unknown with 1 pair."
        : `Minimum detectable effect: ${formatNumber(minimumDetectable, digits)}; of interest from ${hypothesis.smallestEffect}.`,
    );
  }
  return parts.join(" ");
}

function divergedLine(row: Row): string {
  const seed = row["seed"] === null ? "" : ` (seed ${row["seed"]})`;
  const reason = row["reason"] === null ? "" : `: ${row["reason"]}`;
  const steps = plural(row["steps"] as number, "step");
  const tokens = formatNumber(row["tokens"] as number, 0);
  return `- ${row["arm"]}${seed} diverged after ${steps} and ${tokens} tokens${reason} (${cite(row["digest"] as string)}). Its scores enter no mean.`;
}

/** What a reader must not conclude. */
export async function limits(database: ReportDatabase): Promise<string> {
  const rows = await database.query(
    "SELECT max(runs) AS most, min(runs) AS least FROM estimates JOIN arms USING (arm) WHERE NOT control",
  );
  const least = rows[0]?.["least"] as number | null | undefined;
  const lines = [
    "- Verdicts hold for these sizes, this corpus and this number of steps. They say nothing about larger models.",
  ];
  lines.push(
    "- Splits are by document, and held-out documents may come from the same books and sources as training documents. The " +
      "errors of bits per byte treat documents as independent, so the intervals are for documents of this corpus, not for text from elsewhere.",
  );
  const sizes = await benchmarkSizes(database);
  if (sizes)
    lines.push(
      `- Items per benchmark: ${sizes}. Bits per byte rests on all held-out text: trust it first at this scale.`,
    );
  if (typeof least === "number" && least < 5) {
    lines.push(
      `- With ${plural(least, "seed")} ${least === 1 ? "there is no test of any claim" : `Student's t has ${plural(least - 1, "degree")} of freedom`}: ` +
        "more seeds narrow the intervals faster than more items do.",
    );
  }
  return lines.join("\n");
}

async function benchmarkSizes(database: ReportDatabase): Promise<string> {
  const rows = await database.query(`
    SELECT metric, max(items) AS items FROM scores JOIN chance USING (metric) GROUP BY metric ORDER BY items, metric`);
  const known = rows.filter(
    (row) => Object.hasOwn(metrics, row["metric"] as string) && !String(row["metric"]).endsWith("_norm"),
  );
  return enumerate(
    known.map((row) => `${metrics[row["metric"] as MetricName].label} ${formatNumber(row["items"] as number, 0)}`),
  );
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
