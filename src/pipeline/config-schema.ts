// The shape of pipeline.yaml, apart from each stage's own parameters.

import { z } from "zod";

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const cell = z.record(z.string(), scalar);
const name = z.string().regex(/^[A-Za-z0-9_-]+$/, "use letters, digits, - and _");

const matrixSchema = z
  .object({
    include: z.array(cell).optional().describe("Cells added after the product"),
    exclude: z
      .array(cell)
      .optional()
      .describe("Cells of the product to leave out; a partial cell leaves out all that agree"),
  })
  .catchall(z.array(scalar).min(1))
  .describe("One instance of the stage for each combination of the lists");

export const stageSpecSchema = z.strictObject({
  use: z.string().optional().describe("A stage module: stages/<use>.ts of the lab or of stlm-pipeline"),
  cmd: z.string().optional().describe("A command in any language, run by sh -c"),
  extends: z.string().optional().describe("Another stage whose settings this one starts from"),
  matrix: matrixSchema.optional(),
  inputs: z
    .record(z.string(), z.string())
    .optional()
    .describe('Outputs of other stages: "tokens", "train[model=${model},seed=${seed}]", "evaluate[*]"'),
  params: z.record(z.string(), z.unknown()).optional().describe("Laid over params.<stage name>"),
  seed: z.int().min(0).max(0xffffffff).optional().describe("For stages that draw random numbers and have no seed axis"),
  resources: z.record(z.string(), z.int().min(0)).optional().describe("Units that one run holds, { gpu: 1 }"),
  deps: z.array(z.string()).optional().describe("cmd: files or folders of the lab that it reads"),
  outs: z.array(z.string()).optional().describe("cmd: files or folders that it writes"),
  env: z.record(z.string(), z.string()).optional().describe("cmd: environment variables"),
});

export const hypothesisSchema = z.strictObject({
  claim: z.string().min(1).describe("What should be true, in a sentence; written before the runs"),
  treatment: cell,
  control: cell,
  metric: z.string(),
  direction: z.enum(["lower", "higher"]),
  smallestEffect: z.number().positive().describe("Differences below this are of no interest; in the metric's unit"),
});

export const pipelineSchema = z.strictObject({
  profile: name.optional().describe("The profile that runs by default"),
  params: z.record(z.string(), z.unknown()).default({}).describe("Values by stage name, and whatever ${...} reads"),
  profiles: z
    .record(name, z.record(z.string(), z.unknown()).nullable())
    .default({})
    .describe("Values laid over params"),
  stages: z.record(name, stageSpecSchema),
  hypotheses: z.record(name, hypothesisSchema).default({}),
});

export type StageSpec = z.output<typeof stageSpecSchema>;
export type PipelineSpec = z.output<typeof pipelineSchema>;
