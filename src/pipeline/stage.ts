// What a stage is: what it reads, what decides it, what it writes, and how to run it. A stage module is a file in
// `stages/` whose default export is `defineStage({...})`. It knows nothing of keys, caches or processes.

import path from "node:path";
import type { z } from "zod";
import type { Digest } from "../util/digest.ts";

/**
 * The kinds of artifact that stages exchange; docs/artifacts.md says what each folder holds.
 * An input may add `?` (optional) or `[]` (any number, in the order of the reference).
 */
export type ArtifactType =
  | "dataset"
  | "tokenizer"
  | "tokens"
  | "shards"
  | "model"
  | "evaluation"
  | "contamination"
  | "report"
  | "files";
export type InputType = ArtifactType | `${ArtifactType}?` | `${ArtifactType}[]`;

/** `bitwise`: same key, same bytes. `tolerance`: metrics within a band. `external`: a download or a person. */
export type DeterminismClass = "bitwise" | "tolerance" | "external";

/** A finished artifact of another stage, read-only. */
export interface InputArtifact {
  /** Digest of the artifact's tree: what `audit` resolves and what reports cite. */
  readonly digest: Digest;
  /** The stage instance that made it, `train[model=baseline,seed=1]`. */
  readonly stage: string;
  /** The instance's place in its matrix, `{ model: "baseline", seed: 1 }`; empty without a matrix. */
  readonly matrix: Readonly<Record<string, string | number | boolean>>;
  /** Absolute path of a file inside the artifact; without arguments, of its folder. */
  path(...parts: string[]): string;
}

/** A folder that the stage fills. The executor moves it into the store once run() has returned. */
export interface OutputArtifact {
  /** Absolute path of a file inside the folder, whose parent folders exist; without arguments, of the folder. */
  path(...parts: string[]): string;
}

type InputValue<T extends InputType> = T extends `${string}[]`
  ? readonly InputArtifact[]
  : T extends `${string}?`
    ? InputArtifact | undefined
    : InputArtifact;

/** What a stage says while it runs. Nothing of it reaches an artifact. */
export interface StageLog {
  /** A line for people and for the log file. */
  info(message: string): void;
  warn(message: string): void;
  /** How far the work is: shown live, with the time left. `unit` names what is counted ("steps", "bytes"). */
  progress(done: number, total: number, unit: string, note?: string): void;
  /** A measured fact about this run (seconds, tokens per second, peak bytes): kept in the run record, never in a key. */
  measure(name: string, value: number | string): void;
}

export type DeviceName = "reference" | "cpu" | "cuda";

/** How a device computes: in float32, or with products of bfloat16. */
export type Precision = "f32" | "bf16";

export interface StageContext<Params, Inputs extends Record<string, InputType>, Outputs extends string> {
  readonly params: Params;
  readonly inputs: { readonly [Name in keyof Inputs]: InputValue<Inputs[Name]> };
  readonly outputs: { readonly [Name in Outputs]: OutputArtifact };
  /** The matrix's `seed` axis, else the stage's `seed` in pipeline.yaml, else 1. Only where the stage is `seeded`. */
  readonly seed: number;
  /** The compute device to use. Only meaningful where the stage declares `device: true`. */
  readonly device: DeviceName;
  /** Threads that this stage may use. Never changes a result. */
  readonly threads: number;
  /** A folder that survives a kill and is deleted after success: checkpoints, partial downloads. */
  readonly work: string;
  /** `--data-dir` or STLM_DATA_DIR: a folder of data sets outside the lab. */
  readonly dataDir: string | undefined;
  /** Folder of pipeline.yaml, which relative paths in parameters start from; without it, the current folder. */
  readonly root?: string | undefined;
  /** Aborted on Ctrl-C; long loops stop at the next safe point by `signal.throwIfAborted()`. */
  readonly signal: AbortSignal;
  readonly log: StageLog;
}

export interface StageDefinition<
  Schema extends z.ZodType = z.ZodType,
  Inputs extends Record<string, InputType> = Record<string, InputType>,
  Outputs extends Record<string, ArtifactType> = Record<string, ArtifactType>,
> {
  /** One sentence for `--help`, the JSON schema and the report. */
  readonly doc: string;
  readonly inputs: Inputs;
  /** A strict zod object. All values must be JSON. */
  readonly params: Schema;
  readonly outputs: Outputs;
  readonly determinism: DeterminismClass;
  /**
   * Files and folders beside the inputs whose bytes decide the result: absolute, or relative to `root`, the lab. Their
   * digests enter the key; of a folder, those of all files that are not hidden. Default: none. A thrown UserError is a
   * mistake in the parameters, told before anything runs.
   */
  reads?(params: z.output<Schema>, root: string): readonly string[];
  /** The run uses `seed`, so it enters the key. Default false. */
  readonly seeded?: boolean;
  /** The run computes on a device, so device class and engine version enter the key. Default false. */
  readonly device?: boolean;
  /** In what a run with these parameters computes on its device; the device class depends on it. Default: f32. */
  precision?(params: z.output<Schema>): Precision;
  run(context: StageContext<z.output<Schema>, Inputs, keyof Outputs & string>): Promise<void>;
}

/** Gives a stage module its types. */
export function defineStage<
  const Schema extends z.ZodType,
  const Inputs extends Record<string, InputType>,
  const Outputs extends Record<string, ArtifactType>,
>(definition: StageDefinition<Schema, Inputs, Outputs>): StageDefinition<Schema, Inputs, Outputs> {
  return definition;
}

/** `model[]` -> { type: "model", many: true, optional: false } */
export function parseInputType(text: InputType): { type: ArtifactType; many: boolean; optional: boolean } {
  const many = text.endsWith("[]");
  const optional = text.endsWith("?");
  const type = text.slice(0, many ? -2 : optional ? -1 : undefined) as ArtifactType;
  return { type, many, optional };
}

/** An input over a folder: what the executor and the tests of stages build. */
export function inputArtifact(
  folder: string,
  about: { digest: Digest; stage: string; matrix?: Record<string, string | number | boolean> },
): InputArtifact {
  return {
    digest: about.digest,
    stage: about.stage,
    matrix: about.matrix ?? {},
    path: (...parts) => path.join(folder, ...parts),
  };
}
