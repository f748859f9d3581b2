// Verdicts on registered claims, by a rule that was fixed before the runs (docs/decisions/0004-verdict-rule.md). The
// vocabulary is closed and computed: nobody types a verdict.

import type { Evidence, Pair } from "./comparison.ts";
import type { Hypothesis } from "./hypothesis.ts";
import { plural } from "./markdown.ts";
import { metrics } from "./metrics.ts";
import { holmAdjust } from "./statistics/holm.ts";
import {
  equivalencePValue,
  type JointDifference,
  jointDifference,
  type PairedDifference,
  pairedDifference,
} from "./statistics/paired.ts";
import { minimumDetectableEffect, pairsNeeded } from "./statistics/power.ts";

export const verdicts = ["supported", "refuted", "equivalent", "inconclusive", "not-run", "invalid"] as const;
export type VerdictName = (typeof verdicts)[number];

export const ALPHA = 0.05;
export const POWER = 0.8;
/** Nobody trains more seeds than this of one recipe. */
export const MOST_PAIRS = 1000;

export interface Verdict {
  readonly hypothesis: Hypothesis;
  readonly verdict: VerdictName;
  /** Why, in half a sentence. */
  readonly reason: string;
  readonly pairs: readonly Pair[];
  /** Mean difference, treatment - control; null unless measured. */
  readonly effect: number | null;
  /** Student's t over the differences per seed; null below two pairs. */
  readonly seeds: PairedDifference | null;
  /** Over seeds and items together; with one pair over items alone. */
  readonly joint: JointDifference | null;
  /** Of "no difference", and of "a difference of interest", adjusted by Holm within the family; null unless tested. */
  readonly p: number | null;
  readonly equivalenceP: number | null;
  /**
   * The larger of the two tests' smallest true effects found with 80 % power at the family's strictest level; since both
   * must pass, the verdict's power there is at most that. Null below two pairs.
   */
  readonly minimumDetectable: number | null;
  /** Pairs with which an effect of the measured size would be told from 0; null below two pairs and above MOST_PAIRS. */
  readonly pairsNeeded: number | null;
  readonly digests: readonly string[];
}

/** What one claim's evidence says before the family is looked at. */
interface Tested {
  readonly seeds: PairedDifference | null;
  readonly joint: JointDifference;
  readonly p: number;
  readonly equivalenceP: number;
  readonly minimumDetectable: number | null;
  readonly pairsNeeded: number | null;
}

/** One verdict a claim, in their order. The family is every claim given, also those that were not run. */
export function decide(claims: readonly { hypothesis: Hypothesis; evidence: Evidence }[]): Verdict[] {
  const tested = claims.map(({ hypothesis, evidence }) => test(hypothesis, evidence, claims.length));
  const p = holmAdjust(tested.map((result) => result?.p ?? 1));
  const equivalenceP = holmAdjust(tested.map((result) => result?.equivalenceP ?? 1));
  return claims.map(({ hypothesis, evidence }, index): Verdict => {
    const result = tested[index];
    if (evidence.kind !== "measured" || !result) {
      return { ...UNTESTED, hypothesis, verdict: "not-run", ...unmeasured(evidence) };
    }
    const { pairs, effect, digests } = evidence;
    const adjusted = { ...result, p: p[index]!, equivalenceP: equivalenceP[index]! };
    const { verdict, reason } = rule(hypothesis, effect, pairs.length, adjusted);
    const left = evidence.unpaired > 0 ? `; ${plural(evidence.unpaired, "run")} without a partner left out` : "";
    const testedAtAll = pairs.length > 1;
    return {
      hypothesis,
      verdict,
      reason: reason + left,
      pairs,
      effect,
      seeds: result.seeds,
      joint: result.joint,
      p: testedAtAll ? adjusted.p : null,
      equivalenceP: testedAtAll ? adjusted.equivalenceP : null,
      minimumDetectable: result.minimumDetectable,
      pairsNeeded: result.pairsNeeded,
      digests,
    };
  });
}

const UNTESTED = {
  reason: "",
  pairs: [],
  effect: null,
  seeds: null,
  joint: null,
  p: null,
  equivalenceP: null,
  minimumDetectable: null,
  pairsNeeded: null,
  digests: [],
} as const;

function unmeasured(evidence: Evidence): Partial<Verdict> {
  if (evidence.kind === "measured") return {};
  return { verdict: evidence.kind, reason: evidence.reason, digests: evidence.digests };
}

/**
 * Two tests must agree: over the seeds, whose t knows how little few seeds say, and over seeds and items together, since all
 * seeds see the same items. The larger p-value counts (an intersection-union test, Berger 1982).
 */
function test({ smallestEffect }: Hypothesis, evidence: Evidence, family: number): Tested | undefined {
  if (evidence.kind !== "measured") return undefined;
  const { pairs, effect, resolution, bootstrapError, clusters } = evidence;
  const seeds = pairedDifference(
    pairs.map(({ difference }) => difference),
    resolution,
  );
  const joint = jointDifference(effect, seeds, bootstrapError, clusters);
  // One pair says nothing of other seeds: no test, whatever its items say.
  if (!seeds) return { seeds: null, joint, p: 1, equivalenceP: 1, minimumDetectable: null, pairsNeeded: null };
  const both = [seeds, joint];
  const level = ALPHA / family;
  const pairDeviation = seeds.standardError * Math.sqrt(pairs.length);
  const spread = { effect, pairDeviation, itemVariance: joint.itemVariance, clusters };
  return {
    seeds,
    joint,
    p: Math.max(...both.map(({ p }) => p)),
    equivalenceP: Math.max(
      ...both.map(({ standardError, df }) => equivalencePValue(effect, standardError, df, smallestEffect)),
    ),
    minimumDetectable: Math.max(
      ...both.map(({ standardError, df }) => minimumDetectableEffect(standardError, df, level, POWER)),
    ),
    pairsNeeded: pairsNeeded(spread, level, POWER, MOST_PAIRS) ?? null,
  };
}

function rule(
  { direction, smallestEffect, metric }: Hypothesis,
  effect: number,
  pairs: number,
  { p, equivalenceP }: Pick<Tested, "p" | "equivalenceP">,
): { verdict: VerdictName; reason: string } {
  if (pairs < 2) return { verdict: "inconclusive", reason: "one seed cannot tell a recipe from luck" };
  if (equivalenceP <= ALPHA) {
    return { verdict: "equivalent", reason: `any difference is below ${smallestEffect} ${metrics[metric].unit}` };
  }
  if (p > ALPHA) return { verdict: "inconclusive", reason: "noise could explain the difference" };
  const claimed = direction === "lower" ? effect < 0 : effect > 0;
  return claimed
    ? { verdict: "supported", reason: "the difference lies in the claimed direction" }
    : { verdict: "refuted", reason: "the difference lies in the other direction" };
}
