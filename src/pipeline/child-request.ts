// What a stage's process is told and what it answers: the whole contract between executor and child.

import type { Digest } from "../util/digest.ts";
import type { StageError } from "./events.ts";
import type { CommandSpec, Scalar } from "./node.ts";
import type { DeviceName } from "./stage.ts";

/** An input as a read-only folder. */
export interface ChildInput {
  readonly folder: string;
  readonly digest: Digest;
  readonly stage: string;
  readonly matrix: Readonly<Record<string, Scalar>>;
}

export interface ChildRequest {
  readonly id: string;
  readonly work:
    | { readonly kind: "module"; readonly bundleFile: string }
    | { readonly kind: "command"; readonly command: CommandSpec };
  readonly params: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, ChildInput | readonly ChildInput[]>>;
  /** Empty folders to fill, by the name of the output. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly seed: number;
  readonly device: DeviceName;
  readonly threads: number;
  /** Survives a kill. */
  readonly workFolder: string;
  /** Where a command runs: a clean folder with copies of its deps. */
  readonly commandFolder?: string;
  readonly dataDir?: string | undefined;
  /** Folder of pipeline.yaml. */
  readonly root: string;
  /** The store's folder. */
  readonly artifacts: string;
}

export interface ChildAnswer {
  readonly measures: Readonly<Record<string, number | string>>;
  /** Absent after success. */
  readonly error?: StageError;
}

/** What the process says while it runs, for eyes only. */
export type ChildMessage =
  | {
      readonly type: "progress";
      readonly done: number;
      readonly total: number;
      readonly unit: string;
      readonly note?: string;
    }
  | { readonly type: "log"; readonly level: "info" | "warn"; readonly message: string }
  | { readonly type: "measure"; readonly name: string; readonly value: number | string };

/** One JSON line each on descriptor 3; the answer is the last. No file: on a full disk it could not be written. */
export type ChildLine = ChildMessage | { readonly type: "answer"; readonly answer: ChildAnswer };

export const MESSAGE_DESCRIPTOR = 3;
