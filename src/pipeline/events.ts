// What a run says while it goes: data, rendered by the command line as lines, as a live table or as JSON.

import type { Digest } from "../util/digest.ts";
import type { ErrorPlace } from "../util/errors.ts";
import type { RunReason } from "./planner.ts";

/** A mistake as it crosses from a stage's process: what a UserError says, or a bug with its stack in the log. */
export interface StageError {
  readonly message: string;
  readonly code: string;
  readonly where?: ErrorPlace | undefined;
  readonly hint?: string | undefined;
  /** False where the stage threw something other than a UserError: a bug. */
  readonly expected: boolean;
}

type Outputs = Readonly<Record<string, Digest>>;

/** The last run of this instance had this very key. */
export interface Fresh {
  readonly type: "fresh";
  readonly id: string;
  readonly key: Digest;
  readonly outputs: Outputs;
}

/** An older record had the key, or another process made it just now: restored without running. */
export interface Cached {
  readonly type: "cached";
  readonly id: string;
  readonly key: Digest;
  readonly outputs: Outputs;
  readonly from: "store" | "other-process";
}

export interface Ran {
  readonly type: "ran";
  readonly id: string;
  readonly key: Digest;
  readonly outputs: Outputs;
  readonly reason: RunReason;
  readonly durationMs: number;
  readonly measures: Readonly<Record<string, number | string>>;
}

export interface Failed {
  readonly type: "failed";
  readonly id: string;
  /** Absent where the stage could not be planned: a missing dep. */
  readonly key?: Digest;
  readonly error: StageError;
  /** Absolute path of the log; absent where no process was started. */
  readonly log?: string;
  /** The log's last lines. */
  readonly lastLines: readonly string[];
}

/** Not run, for a reason that lies elsewhere. */
export interface Skipped {
  readonly type: "skipped";
  readonly id: string;
  readonly reason: /** `stages`: those that failed, however many stages lie in between. */
    | { readonly kind: "upstream-failed"; readonly stages: readonly string[] }
    | { readonly kind: "stopped-after-failure"; readonly stage: string }
    /** `wasRunning`: it was stopped and goes on from its work folder; else it had not begun. */
    | { readonly kind: "interrupted"; readonly wasRunning: boolean };
}

/** How asking for a stage ended. */
export type Outcome = Fresh | Cached | Ran | Failed | Skipped;

export interface Started {
  readonly type: "started";
  readonly id: string;
  readonly key: Digest;
  readonly reason: RunReason;
  readonly log: string;
  /** 2 and more where an earlier attempt at the same key left its work folder. */
  readonly attempt: number;
}

export interface Progress {
  readonly type: "progress";
  readonly id: string;
  readonly done: number;
  readonly total: number;
  readonly unit: string;
  readonly note?: string;
}

/** Another process runs the same key; we wait for its result. */
export interface Waiting {
  readonly type: "waiting";
  readonly id: string;
  readonly key: Digest;
  readonly holder: string;
}

export interface Log {
  readonly type: "log";
  readonly id: string;
  readonly level: "info" | "warn";
  readonly message: string;
}

export interface Measure {
  readonly type: "measure";
  readonly id: string;
  readonly name: string;
  readonly value: number | string;
}

/** The same key gave other bytes than its record has. */
export interface Divergent {
  readonly type: "divergent";
  readonly id: string;
  readonly key: Digest;
  readonly output: string;
  readonly recorded: Digest;
  readonly found: Digest;
  /** `recorded`: a bitwise stage broke its promise and the old record stands. `found`: the class allows it. */
  readonly kept: "recorded" | "found";
}

export type RunEvent = Outcome | Started | Progress | Waiting | Log | Measure | Divergent;
