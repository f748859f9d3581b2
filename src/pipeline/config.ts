// pipeline.yaml -> Pipeline. Parsed once, checked to the last key, and trusted from there.

import { readFileSync } from "node:fs";
import path from "node:path";
import { didYouMean, systemErrorCode, UserError } from "../util/errors.ts";
import { type PipelineSpec, pipelineSchema } from "./config-schema.ts";
import { buildGraph } from "./graph.ts";
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
  const root = applySettings(written, options.set ?? [], options.profile);
  const spec = validate(root, name);
  const profile = chooseProfile(spec, options.profile, root);
  const params = resolveExtends(mergedParams(root, profile));
  const nodes = await buildGraph({ root, spec, params, loadModule: options.loadModule, fileName: name });
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

function chooseProfile(spec: PipelineSpec, asked: string | undefined, root: LocatedMap): string {
  const names = Object.keys(spec.profiles);
  const profile = asked ?? spec.profile ?? names[0] ?? "default";
  if (names.length > 0 && !names.includes(profile)) {
    throw new UserError(`There is no profile "${profile}".`, {
      code: "UNKNOWN_PROFILE",
      where: asked ? { file: `--profile ${asked}` } : root.entries.get("profile")?.keyWhere,
      hint: `Profiles are: ${names.join(", ")}.${didYouMean(profile, names)}`,
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
 * below params, and is written into the chosen profile as well so that the profile cannot hide it.
 */
function applySettings(root: LocatedMap, settings: readonly string[], asked: string | undefined): LocatedMap {
  let result = root;
  for (const setting of settings) {
    const { keys, value, where } = parseSetting(setting);
    if (["stages", "hypotheses", "profiles", "profile"].includes(keys[0]!)) {
      result = setPath(result, keys, value, where);
      continue;
    }
    const defaultProfile = result.entries.get("profile")?.value;
    const profile = asked ?? (defaultProfile?.kind === "scalar" ? String(defaultProfile.value) : undefined);
    const profiles = getMap(result, "profiles");
    const target = profile !== undefined && profiles?.entries.has(profile) ? ["profiles", profile] : ["params"];
    result = setPath(result, [...target, ...keys], value, where);
  }
  return result;
}

function parseSetting(setting: string): { keys: string[]; value: Located; where: { file: string } } {
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
