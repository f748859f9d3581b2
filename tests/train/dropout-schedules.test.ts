import fc from "fast-check";
import { expect, test } from "vitest";
import { dropoutScheduleSchema, dropoutShare, hasNoEffect } from "../../src/train/dropout-schedules.ts";
import { tinyTrainer } from "./rig.ts";

const shares = (schedule: object, steps: readonly number[], runLength = 100) =>
  steps.map((step) => dropoutShare(dropoutScheduleSchema.parse(schedule), step, runLength));

test("constant is whole throughout, early ends and late begins at its step", () => {
  expect(shares({ shape: "constant" }, [0, 50, 99])).toEqual([1, 1, 1]);
  expect(shares({ shape: "early", until: 20 }, [0, 19, 20, 99])).toEqual([1, 1, 0, 0]);
  expect(shares({ shape: "late", from: 20 }, [0, 19, 20, 99])).toEqual([0, 0, 1, 1]);
});

test("linear goes from start to end between its steps, as the paper's code does, and over the whole run by default", () => {
  expect(shares({ shape: "linear", start: 0, end: 1, from: 20, until: 40 }, [0, 20, 25, 30, 40, 99])).toEqual([
    0, 0, 0.25, 0.5, 1, 1,
  ]);
  expect(shares({ shape: "linear", start: 1, end: 0 }, [0, 99])).toEqual([1, 0]);
  expect(shares({ shape: "linear", start: 1, end: 0.5 }, [33], 67)).toEqual([0.75]);
});

test("triangle rises and falls once a cycle, as the paper's code does", () => {
  expect(shares({ shape: "triangle", cycles: 2 }, [0, 16, 32, 48, 64, 96, 112], 128)).toEqual([
    0, 0.5, 1, 0.5, 0, 1, 0.5,
  ]);
  expect(shares({ shape: "triangle", cycles: 1, trough: 0.5 }, [0, 25, 50, 75])).toEqual([0.5, 0.75, 1, 0.75]);
  // 10 steps in 3 cycles of 3: the last step begins a fourth.
  expect(shares({ shape: "triangle", cycles: 3 }, [0, 3, 6, 9], 10)).toEqual([0, 0, 0, 0]);
});

test("a share stays between 0 and 1 at any step of any run", () => {
  const step = fc.nat(50);
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  const schedule = fc.oneof(
    fc.record({ shape: fc.constant("early"), until: step }),
    fc.record({ shape: fc.constant("late"), from: step }),
    fc.record({ shape: fc.constant("linear"), start: share, end: share, from: step }),
    fc.record({ shape: fc.constant("triangle"), cycles: fc.integer({ min: 1, max: 60 }), trough: share }),
  );
  fc.assert(
    fc.property(schedule, fc.integer({ min: 1, max: 60 }), fc.nat(), (schedule, runLength, n) => {
      const [value] = shares(schedule, [n % runLength], runLength);
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(1);
    }),
  );
});

test("a shape that does not exist, lacks its step or runs backwards is refused", () => {
  const messages = (schedule: object) =>
    dropoutScheduleSchema.safeParse(schedule).error!.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  expect(dropoutScheduleSchema.safeParse("early").error!.issues[0]!.message).toContain("{ shape: early, until: 5000 }");
  expect(messages({ shape: "sometimes" }).join()).toContain("shape");
  expect(messages({ shape: "early" }).join()).toContain("until");
  expect(messages({ shape: "late", from: -1 }).join()).toContain("from");
  expect(messages({ shape: "linear", start: 0, end: 1.5 }).join()).toContain("end");
  expect(messages({ shape: "linear", start: 0, end: 1, from: 9, until: 9 })).toEqual([
    "until: until must be above from: the straight line goes from one to the other",
  ]);
});

test("a schedule whose turn lies beyond the run is known to have no effect", () => {
  const without = [
    { shape: "early", until: 9 },
    { shape: "late", from: 9 },
    { shape: "linear", start: 0, end: 1, from: 9 },
  ];
  const having = [{ shape: "constant" }, { shape: "early", until: 8 }, { shape: "triangle" }];
  const effects = (all: readonly object[]) =>
    all.map((schedule) => hasNoEffect(dropoutScheduleSchema.parse(schedule), 9));
  expect(effects(without)).toEqual([true, true, true]);
  expect(effects(having)).toEqual([false, false, false]);
});

test("early dropout trains like constant dropout until it ends and like none afterwards, and constant like no schedule", () => {
  const losses = (shape: object | undefined, dropout = 0.3) => {
    const schedule = shape && dropoutScheduleSchema.parse(shape);
    const trainer = tinyTrainer(schedule ? { dropout: { probability: 0.3, schedule } } : {}, { dropout });
    return Array.from({ length: 6 }, () => trainer.runStep().loss);
  };
  const whole = losses(undefined);
  expect(losses({ shape: "constant" })).toEqual(whole);
  // A probability is a float32 where it changes by step: masks stay the same, kept values differ by rounding.
  const close = (a: readonly number[], b: readonly number[]) => a.every((x, i) => Math.abs(x - b[i]!) < 1e-5);
  const early = losses({ shape: "early", until: 3 });
  expect(close(early.slice(0, 3), whole.slice(0, 3))).toBe(true);
  expect(Math.abs(early[3]! - whole[3]!)).toBeGreaterThan(1e-3);
  expect(losses({ shape: "late", from: 6 })).toEqual(losses(undefined, 0));
  expect(losses({ shape: "early", until: 6 }, 0)).toEqual(losses(undefined, 0)); // nothing to schedule
});
