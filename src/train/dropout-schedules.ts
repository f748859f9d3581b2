// Dropout by step: the share of the model's probability that is in force. Early and late dropout as in Liu et al. 2023,
// "Dropout Reduces Underfitting", section 3; linear and triangle as in the code of Hillier et al. 2024. Steps count from 0.

import { z } from "zod";

const step = z.int().min(0);
const share = z.number().min(0).max(1);

const EXAMPLE = "must be a mapping such as { shape: early, until: 5000 }";

export const dropoutScheduleSchema = z
  .discriminatedUnion(
    "shape",
    [
      z.strictObject({ shape: z.literal("constant") }),
      z.strictObject({
        shape: z.literal("early"),
        until: step.describe("From this step on nothing is dropped"),
      }),
      z.strictObject({
        shape: z.literal("late"),
        from: step.describe("Before this step nothing is dropped"),
      }),
      z
        .strictObject({
          shape: z.literal("linear"),
          start: share.describe("Share of model.dropout at step `from` and before"),
          end: share.describe("Share of model.dropout at step `until` and after"),
          from: step.default(0),
          until: step.optional().describe("Where not given: the run's last step"),
        })
        .refine(({ from, until }) => until === undefined || from < until, {
          path: ["until"],
          message: "until must be above from: the straight line goes from one to the other",
        }),
      z.strictObject({
        shape: z.literal("triangle"),
        cycles: z
          .int()
          .min(1)
          .default(4)
          .describe("Times that dropout rises and falls again, in equal parts of the run"),
        trough: share.default(0).describe("Share of model.dropout at the low points; the peaks are 1"),
      }),
    ],
    { error: ({ input }) => (typeof input === "object" && input !== null ? undefined : EXAMPLE) },
  )
  .describe("How dropout changes with the step: shares of model.dropout, from 0 to 1");

export type DropoutSchedule = z.infer<typeof dropoutScheduleSchema>;

/** The share of the model's dropout probability at `step` of a run of `steps`, 0..1. */
export function dropoutShare(schedule: DropoutSchedule, step: number, steps: number): number {
  switch (schedule.shape) {
    case "constant":
      return 1;
    case "early":
      return step < schedule.until ? 1 : 0;
    case "late":
      return step < schedule.from ? 0 : 1;
    case "linear": {
      const { start, end, from, until = Math.max(steps - 1, from + 1) } = schedule;
      const done = Math.min(1, Math.max(0, (step - from) / (until - from)));
      return start + done * (end - start);
    }
    case "triangle": {
      const cycle = Math.max(1, Math.floor(steps / schedule.cycles));
      const turn = (step % cycle) / cycle; // a rest of the division begins another cycle, as in the code
      return schedule.trough + (1 - schedule.trough) * (1 - Math.abs(2 * turn - 1));
    }
  }
}

/** Whether a schedule other than `constant` comes to the same at every step of a run of `steps`: it begins or ends too late. */
export function hasNoEffect(schedule: DropoutSchedule, steps: number): boolean {
  if (schedule.shape === "constant") return false;
  const first = dropoutShare(schedule, 0, steps);
  for (let step = 1; step < steps; step++) if (dropoutShare(schedule, step, steps) !== first) return false;
  return true;
}
