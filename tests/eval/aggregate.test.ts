import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aggregate, groupMean, groupStandardError } from "../../src/eval/aggregate.ts";
import type { ItemRow } from "../../src/eval/items.ts";
import { judge } from "../../src/eval/score.ts";
import { itemOf } from "./helpers.ts";

/** A row of two choices of one letter, right or wrong. */
function row(correct: boolean, subtask = "", logProbs = correct ? [-1, -2] : [-2, -1]): ItemRow {
  const choices = [
    { context: "", continuation: " a" },
    { context: "", continuation: " b" },
  ];
  const requests = choices.map(() => ({ tokens: 1, truncated: false }));
  return judge(itemOf(choices, { subtask }), 0, requests, logProbs);
}

const scoreGroups = fc.array(fc.array(fc.constantFrom<number>(0, 1), { minLength: 1, maxLength: 30 }), {
  minLength: 1,
  maxLength: 8,
});

describe("groupMean", () => {
  test("weighs subtasks alike or by size", () => {
    const groups = [[1, 1, 1, 1], [0]];
    expect(groupMean(groups, "plain")).toBe(0.5);
    expect(groupMean(groups, "size")).toBe(0.8);
  });

  test("by size is the mean over all items", () => {
    fc.assert(
      fc.property(scoreGroups, (groups) => {
        const all = groups.flat();
        expect(groupMean(groups, "size")).toBeCloseTo(all.reduce((a, b) => a + b) / all.length, 12);
      }),
    );
  });
});

describe("groupStandardError", () => {
  test("of one group is sqrt(p (1 - p) / (n - 1))", () => {
    expect(groupStandardError([[1, 1, 0, 0, 1]])).toBeCloseTo(Math.sqrt((0.6 * 0.4) / 4), 15);
  });

  test("of several is the harness's pooled formula over the groups' own standard errors", () => {
    fc.assert(
      fc.property(scoreGroups, (groups) => {
        const total = groups.flat().length;
        const pooled = groupStandardError(groups);
        if (total === groups.length) {
          expect(pooled).toBeNull();
          return;
        }
        let numerator = 0;
        for (const scores of groups) {
          const n = scores.length;
          const p = scores.reduce((a, b) => a + b, 0) / n;
          const standardError = n > 1 ? Math.sqrt((p * (1 - p)) / (n - 1)) : 0;
          numerator += (n - 1) * n * standardError ** 2;
        }
        expect(pooled).toBeCloseTo(Math.sqrt(numerator / (total - groups.length) / total), 12);
      }),
    );
  });
});

describe("aggregate", () => {
  test("counts items, ties and subtasks", () => {
    const rows = [row(true, "x"), row(false, "x"), row(true, "y"), row(true, "y", [-1, -1])];
    expect(aggregate(rows, { weighting: "plain", normalized: false })).toEqual({
      items: 4,
      accuracy: 0.75,
      accuracySplit: 0.625,
      standardError: Math.sqrt(0.5 / 2 / 4),
      ties: 1,
      chance: 0.5,
      truncated: 0,
      unscored: 0,
      subtasks: { x: { items: 2, accuracy: 0.5 }, y: { items: 2, accuracy: 1 } },
    });
  });

  test("adds normalised accuracies only where the harness reports them", () => {
    const figures = aggregate([row(true), row(false)], { weighting: "size", normalized: true });
    expect(figures).toMatchObject({ accuracyNorm: 0.5, accuracyBytes: 0.5, accuracyNormStandardError: 0.5 });
    expect(figures).not.toHaveProperty("subtasks");
  });

  test("has no accuracy where an item has no finite score", () => {
    const rows = [row(true), row(true, "", [Number.NaN, -1])];
    expect(aggregate(rows, { weighting: "size", normalized: true })).toMatchObject({
      accuracy: null,
      accuracySplit: null,
      accuracyNorm: null,
      standardError: null,
      unscored: 1,
      chance: 0.5,
    });
  });

  test("of one item has no standard error", () => {
    expect(aggregate([row(true)], { weighting: "size", normalized: false }).standardError).toBeNull();
  });
});
