// Stage modules and their code fingerprints.

import type { Digest } from "../util/digest.ts";
import type { StageDefinition } from "./stage.ts";

/** What of a stage's code enters its key: every field is printed by `why`. */
export interface CodeFingerprint {
  /** SHA-256 of the module's import closure, bundled, tree-shaken and minified. */
  readonly bundle: Digest;
  /** Digest of each native source beside an imported module (C, CUDA), comments removed; path relative to the package or lab. */
  readonly native: Readonly<Record<string, Digest>>;
  /** Version of each npm package that the bundle imports. */
  readonly packages: Readonly<Record<string, string>>;
}

export interface StageModule {
  /** The name after `use:`. */
  readonly use: string;
  /** Absolute path of the source file. */
  readonly file: string;
  readonly definition: StageDefinition;
  readonly code: CodeFingerprint;
  /** Absolute path of the bundle that runs: made from the very text whose minified form is the fingerprint. */
  readonly bundleFile: string;
}
