import { expect, test } from "vitest";
import type { Evidence } from "../../src/report/comparison.ts";
import type { Hypothesis } from "../../src/report/hypothesis.ts";
import { hierarchicalBootstrap, type PairedItems, ratioOfSums } from "../../src/report/statistics/bootstrap.ts";
import { standardDeviation } from "../../src/report/statistics/descriptive.ts";
import { decide } from "../../src/report/verdict.ts";
import { CounterRandom, PURPOSE } from "../../src/util/philox.ts";
import { claim } from "./synthetic-lab.ts";

interface Truth {
  readonly effect: number;
  readonly pairs: number;
  readonly seedSpread?: number;
  readonly itemSpread?: number;
  readonly draw?: number;
  readonly unpaired?: number;
}

const ITEMS = 30;

/** Differences per seed and document drawn from a known truth. */
function evidence({ effect, pairs, seedSpread = 0.01, itemSpread = 0.02, draw = 0, unpaired = 0 }: Truth): Evidence {
  const random = new CounterRandom(draw, PURPOSE.sample, 99);
  const items: PairedItems = {
    clusterSizes: new Array<number>(ITEMS).fill(1),
    numerators: Array.from({ length: pairs }, (_, pair) =>
      Float64Array.from({ length: ITEMS }, (_, i) => {
        const shared = itemSpread * random.normal(1000 + i);
        return (
          effect + seedSpread * random.normal(pair) + shared + 0.1 * itemSpread * random.normal(2000 + pair * ITEMS + i)
        );
      }),
    ),
    denominator: new Float64Array(ITEMS).fill(1),
  };
  const differences = items.numerators.map((numerator) => ratioOfSums({ ...items, numerators: [numerator] }));
  return {
    kind: "measured",
    pairs: differences.map((difference, pair) => ({
      label: `seed ${pair + 1}`,
      treatment: 1.5 + difference,
      control: 1.5,
      difference,
      discordant: undefined,
      digests: [],
    })),
    effect: ratioOfSums(items),
    resolution: 0,
    bootstrapError: standardDeviation(hierarchicalBootstrap(items, 200, draw))!,
    clusters: ITEMS,
    unpaired,
    digests: [],
  };
}

function verdictOf(truth: Truth, hypothesis: Partial<Hypothesis> = {}) {
  return decide([{ hypothesis: claim("a", "b", hypothesis), evidence: evidence(truth) }])[0]!;
}

test("a large effect in the claimed direction is supported, in the other refuted", () => {
  expect(verdictOf({ effect: -0.3, pairs: 4 }).verdict).toBe("supported");
  expect(verdictOf({ effect: 0.3, pairs: 4 }).verdict).toBe("refuted");
  expect(verdictOf({ effect: 0.3, pairs: 4 }, { direction: "higher" }).verdict).toBe("supported");
});

test("a difference far below the smallest effect of interest is equivalent, however certain it is", () => {
  const tiny = { effect: -0.002, pairs: 5, seedSpread: 0.0001, itemSpread: 0.0001 };
  expect(verdictOf(tiny).verdict).toBe("equivalent");
  expect(verdictOf(tiny).p).toBeLessThan(0.05);
  expect(verdictOf(tiny, { smallestEffect: 0.0001 }).verdict).toBe("supported");
});

test("noise is inconclusive, with the minimum detectable effect beside it", () => {
  const verdict = verdictOf({ effect: 0, pairs: 3 });
  expect(verdict.verdict).toBe("inconclusive");
  expect(verdict.minimumDetectable).toBeGreaterThan(0.01);
});

test("an open claim says how many pairs an effect of its size would need, and they decide it", () => {
  const truth = { effect: -0.02, seedSpread: 0.02, itemSpread: 0.0001, draw: 4 };
  const open = verdictOf({ ...truth, pairs: 2 });
  expect(open.verdict).toBe("inconclusive");
  expect(open.pairsNeeded).toBeGreaterThan(2);
  expect(verdictOf({ effect: -0.3, pairs: 4 }).pairsNeeded).toBeLessThanOrEqual(4);
  expect(verdictOf({ effect: 0, pairs: 4, itemSpread: 5 }).pairsNeeded).toBeNull();
});

test("one pair decides nothing, whatever its items say", () => {
  const verdict = verdictOf({ effect: -5, pairs: 1 });
  expect(verdict).toMatchObject({ verdict: "inconclusive", p: null, minimumDetectable: null, seeds: null });
  expect(verdict.joint!.high).toBeLessThan(0);
});

test("seeds that agree do not decide when the documents do not, and the other way round", () => {
  expect(verdictOf({ effect: -0.01, pairs: 5, seedSpread: 0.0001, itemSpread: 0.2, draw: 5 }).verdict).toBe(
    "inconclusive",
  );
  expect(verdictOf({ effect: -0.01, pairs: 3, seedSpread: 0.05, itemSpread: 0.0001 }).verdict).toBe("inconclusive");
});

test("two seeds whose accuracies tie by chance do not make certainty", () => {
  const tied = evidence({ effect: 0, pairs: 2, draw: 3 });
  if (tied.kind !== "measured") throw new Error("unreachable");
  const pairs = tied.pairs.map((pair) => ({ ...pair, difference: 1 }));
  const decideWith = (resolution: number) =>
    decide([
      { hypothesis: claim("a", "b", { metric: "blimp" }), evidence: { ...tied, pairs, effect: 1, resolution } },
    ])[0]!;
  expect(decideWith(0.5).seeds).toMatchObject({ low: expect.closeTo(-0.2969, 3), high: expect.closeTo(2.2969, 3) });
  expect(decideWith(0).verdict).toBe("inconclusive");
});

test("the family counts: a claim that stands alone falls among many, also among those that were not run", () => {
  const strong = { hypothesis: claim("a", "b"), evidence: evidence({ effect: -0.03, pairs: 3, draw: 1 }) };
  const absent: Evidence = { kind: "not-run", reason: "no evaluated run has model=c", digests: [] };
  const alone = decide([strong])[0]!;
  const family = decide([
    strong,
    ...Array.from({ length: 19 }, () => ({ hypothesis: claim("c", "b"), evidence: absent })),
  ]);
  expect(alone.verdict).toBe("supported");
  expect(family[0]!.verdict).toBe("inconclusive");
  expect(family[0]!.p).toBeCloseTo(Math.min(1, 20 * alone.p!), 12);
  expect(family[0]!.minimumDetectable).toBeGreaterThan(alone.minimumDetectable!);
  expect(family[1]).toMatchObject({ verdict: "not-run", effect: null, p: null });
});

test("what cannot be compared is invalid with its reason, and no number", () => {
  const [verdict] = decide([
    { hypothesis: claim("a", "b"), evidence: { kind: "invalid", reason: "a (seed 2) diverged", digests: [] } },
  ]);
  expect(verdict).toMatchObject({
    verdict: "invalid",
    reason: "a (seed 2) diverged",
    effect: null,
    minimumDetectable: null,
  });
});

test("runs without a partner are counted in the reason", () => {
  expect(verdictOf({ effect: -0.3, pairs: 4, unpaired: 1 }).reason).toContain("1 run without a partner left out");
});

test("claims without any effect are decided in fewer than 5 % of families, with two, three and five seeds", () => {
  for (const pairs of [2, 3, 5]) {
    const families = 100;
    let wrong = 0;
    for (let family = 0; family < families; family++) {
      const claims = [1, 2, 3].map((index) => ({
        hypothesis: claim("a", "b", { smallestEffect: 0.001 }),
        evidence: evidence({ effect: 0, pairs, draw: pairs * 10_000 + family * 10 + index }),
      }));
      if (decide(claims).some(({ verdict }) => verdict !== "inconclusive")) wrong++;
    }
    // 5 % plus two standard errors of a share counted over these families.
    expect(wrong / families, `${pairs} pairs`).toBeLessThan(0.05 + 2 * Math.sqrt((0.05 * 0.95) / families));
  }
}, 120_000);
