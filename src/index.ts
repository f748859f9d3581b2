// `import ... from "stlm-pipeline"`: what a lab's own stage modules need. Models, data and the engine have entry points
// of their own beside this one; docs/api.md shows each.

/** A schema's author needs the very zod that reads it. */
export { z } from "zod";
/** What run() gets, and the names that `inputs` and `outputs` may use. */
export type {
  ArtifactType,
  DeterminismClass,
  DeviceName,
  InputArtifact,
  InputType,
  OutputArtifact,
  StageContext,
  StageDefinition,
  StageLog,
} from "./pipeline/stage.ts";
/** Gives a stage module its types; the module's default export is what it returns. */
export { defineStage } from "./pipeline/stage.ts";
/** JSON whose bytes depend on the value alone: what artifacts are written with. */
export { canonicalJson, prettyCanonicalJson } from "./util/canonical-json.ts";
/** SHA-256 as `sha256:<hex>`. */
export { type Digest, digestBytes } from "./util/digest.ts";
/** A mistake that the user can mend: printed without a stack, with its place and what to do. */
export { type ErrorPlace, UserError, type UserErrorOptions } from "./util/errors.ts";
/** Random numbers by position, from `seed` and a purpose, so that a rerun draws the same. */
export { CounterRandom, PURPOSE } from "./util/philox.ts";
