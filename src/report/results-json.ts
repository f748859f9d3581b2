// results.json: every number of the report for programs, with its uncertainty and the digests that it rests on.

import { prettyCanonicalJson } from "../util/canonical-json.ts";
import type { Cell } from "./table.ts";
import { ALPHA, POWER, type Verdict } from "./verdict.ts";

/** Digits that a change of the mathematics library could alter are not written. */
const SIGNIFICANT = 12;

/** Text of results.json: every cell, every claim with its pairs, and the method. */
export function resultsJson(cells: readonly Cell[], verdicts: readonly Verdict[], resamples: number): string {
  const rounded = (value: unknown): unknown => {
    if (typeof value === "number") return Number(value.toPrecision(SIGNIFICANT));
    if (Array.isArray(value)) return value.map(rounded);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, rounded(member)]));
  };
  return prettyCanonicalJson(
    rounded({
      cells,
      claims: verdicts.map(({ hypothesis, pairs, minimumDetectable, ...rest }) => ({
        ...hypothesis,
        ...rest,
        minimumDetectable,
        pairs: pairs.map(({ discordant, ...pair }) => ({ ...pair, ...(discordant && { discordant }) })),
      })),
      method: {
        alpha: ALPHA,
        power: POWER,
        correction: "holm",
        bootstrap: { levels: ["seeds", "clusters", "items"], interval: "satterthwaite-t", resamples },
      },
    }),
  );
}
