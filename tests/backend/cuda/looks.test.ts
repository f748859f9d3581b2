import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Looks } from "../../../src/backend/cuda/looks.ts";

/** Looks until as many results as there are periods have come, each so long after the one before: how many looks, and how late at most. */
function watch(periods: readonly number[]) {
  const looks = new Looks();
  const due = periods.map((_, i) => periods.slice(0, i + 1).reduce((sum, period) => sum + period, 0));
  let [now, next, latest] = [0, 0, 0];
  const counts: number[] = [];
  looks.begin(now);
  for (let count = 0; next < due.length; ) {
    now += looks.delay(now);
    count++;
    const found = due.filter((at, i) => i >= next && at <= now);
    for (const at of found) latest = Math.max(latest, now - at);
    looks.found(found.length, now);
    next += found.length;
    if (found.length === 0) continue;
    counts.push(count);
    count = 0;
  }
  return { counts, latest };
}

test("each of several steps that take equally long is found by a few looks, late by a sixteenth of its time and a little", () => {
  fc.assert(
    fc.property(fc.double({ min: 5, max: 700, noNaN: true }), (period) => {
      const { counts, latest } = watch(new Array<number>(20).fill(period));
      expect(Math.max(...counts.slice(2))).toBeLessThanOrEqual(6 + period / 100);
      expect(latest).toBeLessThanOrEqual(2 + period / 15);
    }),
  );
});

test("after a step that took long none is found more than a tenth of a second late", () => {
  const { counts, latest } = watch([5000, 3, 3, 3, 3, 3, 200, 200, 200]);
  expect(latest).toBeLessThanOrEqual(100);
  expect(counts[0]).toBeLessThan(130);
});
