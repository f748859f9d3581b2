// The resolved pipeline: what config.ts and graph.ts make of pipeline.yaml and everything after them works on.

import type { ErrorPlace } from "../util/errors.ts";
import type { StageModule } from "./modules.ts";

export type Scalar = string | number | boolean;

/** One output of one stage instance. */
export interface ArtifactRef {
  /** The instance's id, `train[model=baseline,seed=1]`. */
  readonly node: string;
  /** Name of the output, `model`. */
  readonly output: string;
}

/** A stage of any other language: a command with declared files. */
export interface CommandSpec {
  /** Run by `sh -c` in a clean folder that holds copies of `deps`; inputs are at $STLM_INPUT_<NAME>. */
  readonly command: string;
  /** Files or folders of the lab that the command reads, relative to pipeline.yaml. */
  readonly deps: readonly string[];
  /** Files or folders that it writes, relative to its working folder. They become the output `files`. */
  readonly outs: readonly string[];
  /** Variables that it sees, by value. Part of the key. */
  readonly env: Readonly<Record<string, string>>;
}

/** One stage instance: a node of the DAG. */
export interface StageNode {
  /** `train[model=baseline,seed=1]`, or the bare name where there is no matrix. */
  readonly id: string;
  /** The stage's name in pipeline.yaml. */
  readonly name: string;
  readonly matrix: Readonly<Record<string, Scalar>>;
  /** Resolved and validated by the stage's schema, defaults filled in. Empty for a command. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, ArtifactRef | readonly ArtifactRef[]>>;
  readonly seed: number;
  /** Units of each resource that one run holds, `{ gpu: 1 }`. Not part of the key. */
  readonly resources: Readonly<Record<string, number>>;
  readonly work:
    | { readonly kind: "module"; readonly module: StageModule }
    | { readonly kind: "command"; readonly command: CommandSpec };
  readonly where: ErrorPlace;
}

/** A claim registered in pipeline.yaml before its runs. */
export interface Hypothesis {
  readonly name: string;
  readonly claim: string;
  readonly treatment: Readonly<Record<string, Scalar>>;
  readonly control: Readonly<Record<string, Scalar>>;
  readonly metric: string;
  readonly direction: "lower" | "higher";
  /** Differences below this are of no interest; the bound of the equivalence test. In the metric's own unit. */
  readonly smallestEffect: number;
}

export interface Pipeline {
  /** Absolute path of pipeline.yaml. */
  readonly file: string;
  /** Folder of pipeline.yaml: the lab. */
  readonly root: string;
  readonly profile: string;
  /** In topological order: inputs first; ties in the order of pipeline.yaml. */
  readonly nodes: readonly StageNode[];
  readonly byId: ReadonlyMap<string, StageNode>;
  readonly hypotheses: readonly Hypothesis[];
}
