// A registered claim as it reaches the report stage: the shape of pipeline.yaml's `hypotheses`, with the name inside.

import { z } from "zod";
import { metricNames } from "./metrics.ts";

const axesSchema = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
  .refine((axes) => Object.keys(axes).length > 0, { message: "name at least one axis of the matrix" });

export const hypothesisSchema = z.strictObject({
  name: z.string().min(1),
  claim: z.string().min(1).describe("One sentence that can turn out false"),
  treatment: axesSchema.describe("Axes of the runs that the claim is about, { model: baseline }"),
  control: axesSchema.describe("Axes of the runs that they are compared with"),
  metric: z.enum(metricNames),
  direction: z.enum(["lower", "higher"]).describe("Which way the treatment moves the metric if the claim is true"),
  smallestEffect: z.number().positive().describe("Differences below this are of no interest, in the metric's unit"),
});

export type Hypothesis = z.output<typeof hypothesisSchema>;
