// What the report reads: the JSON files of model and evaluation artifacts, brought into one list of trainings and one
// of evaluations. An *arm* is all runs that differ only in their seed.

import { readFileSync } from "node:fs";
import { z } from "zod";
import { canonicalJson, compareUtf8 } from "../util/canonical-json.ts";
import type { Digest } from "../util/digest.ts";
import { messageOf, UserError } from "../util/errors.ts";
import { enumerate } from "./markdown.ts";

export type Scalar = string | number | boolean;
export type Axes = Readonly<Record<string, Scalar>>;

/** A finished artifact: the part of the pipeline's `InputArtifact` that a report needs. */
export interface ReportArtifact {
  readonly digest: Digest;
  /** `train[model=baseline,seed=1]` */
  readonly stage: string;
  readonly matrix: Axes;
  path(...parts: string[]): string;
}

export interface ReportInputs {
  readonly runs: readonly ReportArtifact[];
  readonly controls: readonly ReportArtifact[];
  readonly curves: readonly ReportArtifact[];
  readonly shards?: ReportArtifact | undefined;
  readonly contamination?: ReportArtifact | undefined;
}

const number = z.number().nullish();
const summarySchema = z.object({
  status: z.enum(["completed", "diverged"]),
  reason: z.string().optional(),
  steps: z.number(),
  tokens: z.number(),
  flops: number,
  train_loss: number,
});
const configSchema = z.object({
  model: z.record(z.string(), z.unknown()),
  parameters: z.number(),
  training: z.record(z.string(), z.unknown()),
});
const perplexitySchema = z.object({ bitsPerByte: number }).nullish();
const evaluationSchema = z.object({
  subject: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("model"), parameters: z.number(), status: z.string() }),
    z.object({ kind: z.literal("control"), control: z.string() }),
  ]),
  protocol: z.string(),
  validation: perplexitySchema,
  test: perplexitySchema,
  benchmarks: z.record(
    z.string(),
    z.object({
      items: z.number(),
      accuracy: number,
      accuracySplit: number,
      ties: z.number(),
      note: z.string().nullish(),
    }),
  ),
});

export interface Run {
  readonly artifact: ReportArtifact;
  readonly arm: string;
  /** The matrix without its seed. */
  readonly axes: Axes;
  /** Undefined where the matrix has no seed. */
  readonly seed: Scalar | undefined;
}

export interface Training extends Run {
  readonly summary: z.output<typeof summarySchema>;
  readonly config: z.output<typeof configSchema>;
}

export interface Evaluation extends Run {
  readonly metrics: z.output<typeof evaluationSchema>;
  /** The training whose model was evaluated: the one whose matrix agrees. Undefined for controls. */
  readonly training: Training | undefined;
  /** The control's name; undefined for a model. */
  readonly control: string | undefined;
}

export interface Runs {
  readonly trainings: readonly Training[];
  readonly evaluations: readonly Evaluation[];
  /** Labels of the arms of models, in the order of the inputs. */
  readonly arms: readonly string[];
  readonly controls: readonly string[];
}

/** Reads every JSON file of the inputs. Throws a UserError for a file that is missing or means something else. */
export function readRuns(inputs: ReportInputs): Runs {
  const trainings = inputs.curves.map((artifact) => ({
    ...placeOf(artifact),
    summary: readJson(artifact.path("summary.json"), summarySchema),
    config: readJson(artifact.path("config.json"), configSchema),
  }));
  const evaluations = [...inputs.runs, ...inputs.controls].map((artifact) => evaluationOf(artifact, trainings));
  rejectDuplicates(trainings);
  rejectDuplicates(evaluations);
  rejectMixedProtocols(evaluations);
  const models = evaluations.filter(({ control }) => control === undefined);
  return {
    trainings,
    evaluations,
    arms: [...new Set([...trainings, ...models].map(({ arm }) => arm))],
    controls: [...new Set(evaluations.filter(({ control }) => control !== undefined).map(({ arm }) => arm))],
  };
}

/** Whether a run was trained to its end: a diverged one is a result, but no sample of the arm's mean. */
export function isDiverged({ metrics, training }: Pick<Evaluation, "metrics" | "training">): boolean {
  const { subject } = metrics;
  return training?.summary.status === "diverged" || (subject.kind === "model" && subject.status === "diverged");
}

function evaluationOf(artifact: ReportArtifact, trainings: readonly Training[]): Evaluation {
  const metrics = readJson(artifact.path("metrics.json"), evaluationSchema);
  const control = metrics.subject.kind === "control" ? metrics.subject.control : undefined;
  const place = placeOf(artifact);
  // Controls have no seed: the arm is the control itself.
  if (control !== undefined) return { ...place, arm: control, metrics, control, training: undefined };
  const training = trainings.find((candidate) => agrees(candidate.artifact.matrix, artifact.matrix));
  return { ...place, metrics, control, training };
}

/** Whether `matrix` has every axis of `part` at the same value. */
export function agrees(part: Axes, matrix: Axes): boolean {
  return Object.entries(part).every(([axis, value]) => matrix[axis] === value);
}

function placeOf(artifact: ReportArtifact): Run {
  const { seed, ...axes } = artifact.matrix;
  return { artifact, axes, seed, arm: armLabel(axes, artifact.stage) };
}

/** `baseline` for one axis, `model=baseline, size=10m` for several, the stage's name for none. */
function armLabel(axes: Axes, stage: string): string {
  const names = Object.keys(axes).sort(compareUtf8);
  if (names.length === 0) return stage.replace(/\[.*$/, "");
  if (names.length === 1) return String(axes[names[0]!]);
  return names.map((name) => `${name}=${axes[name]}`).join(", ");
}

function rejectDuplicates(runs: readonly Run[]): void {
  const seen = new Map<string, string>();
  for (const { arm, seed, artifact } of runs) {
    const key = canonicalJson([arm, seed ?? null]);
    const earlier = seen.get(key);
    if (earlier !== undefined) {
      throw new UserError(
        `The report is given two runs of "${arm}" with the same seed: ${earlier} and ${artifact.stage}.`,
        {
          code: "DUPLICATE_RUN",
          hint: "Give each its own axis in the stage's matrix, or leave one out of the report's inputs.",
        },
      );
    }
    seen.set(key, artifact.stage);
  }
}

/** Two protocols score two different things: their figures may not stand in one column. */
function rejectMixedProtocols(evaluations: readonly Evaluation[]): void {
  const examples = new Map(evaluations.map(({ metrics, artifact }) => [metrics.protocol, artifact.stage]));
  if (examples.size < 2) return;
  const list = enumerate([...examples].map(([protocol, stage]) => `"${protocol}" (${stage})`));
  throw new UserError(`The report is given evaluations under different protocols: ${list}.`, {
    code: "MIXED_PROTOCOLS",
    hint: "Give `evaluate` and `controls` the same `protocol`, or make one report for each protocol.",
  });
}

/** Parses a JSON file against `schema`. */
export function readJson<Schema extends z.ZodType>(file: string, schema: Schema): z.output<Schema> {
  try {
    return schema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
    throw new UserError(`The report cannot read ${file}.`, {
      code: "REPORT_INPUT_UNREADABLE",
      where: { file },
      hint: `${reason}\nRun \`stlm-pipeline audit\` to find damaged artifacts; \`stlm-pipeline repro\` makes them again.`,
      cause,
    });
  }
}
