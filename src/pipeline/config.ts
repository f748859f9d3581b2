// pipeline.yaml -> Pipeline. Parsed once, checked to the last key, and trusted from there.

import { readFileSync } from "node:fs";
import path from "node:path";
import { didYouMean, systemErrorCode, UserError } from "../util/errors.ts";
import { type PipelineSpec, pipelineSchema } from "./config-schema.ts";
import { buildGraph } from "./graph.ts";
import { checkHypotheses } from "./hypotheses.ts";
import { configurationError } from "./issues.ts";
import {
  emptyMap,
  getMap,
  type Located,
  type LocatedMap,
  mergeLocated,
  parseLocated,
  plain,
  setPath,
} from "./located.ts";
import type { StageModule } from "./modules.ts";
import type { Hypothesis, Pipeline } from "./node.ts";
import { resolveExtends } from "./substitute.ts";

export interface LoadOptions {
  /** pipeline.yaml. */
  readonly file: string;
  /** Instead of the file's own default. */
  readonly profile?: string | undefined;
  /** `train.steps=50`, `stages.train.matrix.seed=[1]`: laid over everything else, in order. */
  readonly set?: readonly string[] | undefined;
  /** How a stage module is found by its name after `use:`. */
  readonly loadModule: (use: string) => Promise<StageModule>;
}

/** Throws a UserError for anything that a reader of pipeline.yaml could mend. */
export async function loadPipeline(options: LoadOptions): Promise<Pipeline> {
  const name = path.basename(options.file);
  const written = parseLocated(readText(options.file), name);
  if (written.kind !== "map") {
    throw new UserError(`${name} holds no settings.`, {
      code: "BAD_VALUE",
      where: written.where,
      hint: "It needs at least `stages:`. `stlm-pipeline init DIR` writes a complete example.",
    });
  }
  validate(written, name);
  const settings = (options.set ?? []).map(parseSetting);
  const profile = chooseProfile(written, settings, options.profile, name);
  const root = applySettings(written, settings, profile);
  const spec = validate(root, name);
  const params = resolveExtends(mergedParams(root, profile));
  const nodes = await buildGraph({ root, spec, params, loadModule: options.loadModule, fileName: name });
  checkHypotheses(root, spec, nodes);
  const hypotheses: Hypothesis[] = Object.entries(spec.hypotheses).map(([key, value]) => ({ name: key, ...value }));
  return {
    file: path.resolve(options.file),
    root: path.dirname(path.resolve(options.file)),
    profile,
    nodes,
    byId: new Map(nodes.map((node) => [node.id, node])),
    hypotheses,
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const missing = systemErrorCode(cause) === "ENOENT";
    throw new UserError(missing ? `There is no ${path.basename(file)} here.` : `${file} cannot be read.`, {
      code: missing ? "NO_PIPELINE" : "UNREADABLE_FILE",
      where: { file },
      hint: missing ? "Change to a lab's folder, or make one with `stlm-pipeline init DIR`." : undefined,
      cause,
    });
  }
}

function validate(root: LocatedMap, name: string): PipelineSpec {
  const parsed = pipelineSchema.safeParse(plain(root));
  if (!parsed.success) throw configurationError(parsed.error, { of: name, located: root, schema: pipelineSchema });
  return parsed.data;
}

/** Wherever among the settings `profile=` stands, it says into which profile the others are written. */
function chooseProfile(
  written: LocatedMap,
  settings: readonly Setting[],
  asked: string | undefined,
  name: string,
): string {
  const about = settings.filter(({ keys }) => keys[0] === "profile" || keys[0] === "profiles");
  const root = about.reduce((map, { keys, value, where }) => setPath(map, keys, value, where), written);
  const spec = validate(root, name);
  const names = Object.keys(spec.profiles);
  const profile = asked ?? spec.profile ?? names[0] ?? "default";
  const isNamed = asked !== undefined || spec.profile !== undefined;
  if ((isNamed || names.length > 0) && !names.includes(profile)) {
    throw new UserError(`There is no profile "${profile}".`, {
      code: "UNKNOWN_PROFILE",
      where: asked ? { file: `--profile ${asked}` } : root.entries.get("profile")?.keyWhere,
      hint:
        names.length > 0
          ? `Profiles are: ${names.join(", ")}.${didYouMean(profile, names)}`
          : `${name} has no profiles: leave it out, or add one as profiles.${profile}.`,
    });
  }
  return profile;
}

function mergedParams(root: LocatedMap, profile: string): LocatedMap {
  const params = getMap(root, "params") ?? emptyMap(root.where);
  const profiles = getMap(root, "profiles");
  const overlay = profiles && getMap(profiles, profile);
  return mergeLocated(params, overlay) as LocatedMap;
}

/**
 * `--set` writes where it will win: `stages.`, `hypotheses.` and `profiles.` paths are the file's own; any other path is
 * below params, and is written into the chosen profile so that the profile cannot hide it.
 */
function applySettings(root: LocatedMap, settings: readonly Setting[], profile: string): LocatedMap {
  const hasProfiles =
    (getMap(root, "profiles")?.entries.size ?? 0) > 0 || settings.some(({ keys }) => keys[0] === "profiles");
  const shared = hasProfiles ? ["profiles", profile] : ["params"];
  return settings.reduce((map, { keys, value, where }) => {
    const isOwn = ["stages", "hypotheses", "profiles", "profile"].includes(keys[0]!);
    return setPath(map, isOwn ? keys : [...shared, ...keys], value, where);
  }, root);
}

interface Setting {
  readonly keys: readonly string[];
  readonly value: Located;
  readonly where: { readonly file: string };
}

function parseSetting(setting: string): Setting {
  const equals = setting.indexOf("=");
  const keys = setting
    .slice(0, equals)
    .replace(/^params\./, "")
    .split(".");
  const where = { file: `--set ${setting}` };
  if (equals < 1 || keys.some((key) => key === "")) {
    throw new UserError(`--set needs PATH=VALUE, not "${setting}".`, {
      code: "BAD_SETTING",
      hint: "For example: --set train.steps=50",
    });
  }
  const value = parseLocated(setting.slice(equals + 1), where.file);
  return { keys, value: { ...value, where }, where };
}
