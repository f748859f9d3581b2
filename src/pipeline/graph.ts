// Stages of pipeline.yaml -> stage instances in topological order.

import { didYouMean, UserError } from "../util/errors.ts";
import type { PipelineSpec, StageSpec } from "./config-schema.ts";
import { configurationError } from "./issues.ts";
import { emptyMap, getMap, type Located, type LocatedMap, mergeLocated, placeOf, plain, setPath } from "./located.ts";
import { type Cell, expandMatrix, instanceId } from "./matrix.ts";
import type { StageModule } from "./modules.ts";
import type { CommandSpec, Scalar, StageNode } from "./node.ts";
import { checkStage } from "./stage-checks.ts";
import { namespacesRead, resolveExtends, type Scope, substitute, substituteKnown } from "./substitute.ts";
import { topologicalOrder } from "./topology.ts";
import { type Draft, wireInputs } from "./wiring.ts";

export interface GraphSource {
  readonly root: LocatedMap;
  readonly spec: PipelineSpec;
  /** Profile merged in, `extends` resolved. */
  readonly params: LocatedMap;
  readonly loadModule: (use: string) => Promise<StageModule>;
  readonly fileName: string;
}

export async function buildGraph(source: GraphSource): Promise<readonly StageNode[]> {
  const stagesMap = getMap(source.root, "stages") ?? emptyMap(source.root.where);
  const stages = resolveExtends(stagesMap);
  const specs = plain(stages) as Record<string, StageSpec>;
  checkNamespaces(source, stages, specs);
  const drafts: Draft[] = [];
  for (const name of Object.keys(specs)) {
    drafts.push(...(await draftInstances(name, specs[name]!, getMap(stages, name)!, source)));
  }
  return topologicalOrder(wireInputs(drafts));
}

/** The instances of one stage, inputs still as text. */
async function draftInstances(
  name: string,
  spec: StageSpec,
  located: LocatedMap,
  source: GraphSource,
): Promise<Draft[]> {
  checkStage(name, spec, located);
  const module = spec.use === undefined ? undefined : await loadNamedModule(name, spec.use, located, source);
  const { include = [], exclude = [], ...axes } = spec.matrix ?? {};
  const cells = expandMatrix(spec.matrix && { axes: axes as Record<string, readonly Scalar[]>, include, exclude });
  checkNames(name, cells, located);
  return cells.map((cell) => draftInstance(name, spec, cell, module, located, source));
}

/** Instances are known by their names, so of two with one name the first would be lost. */
function checkNames(name: string, cells: readonly Cell[], located: LocatedMap): void {
  const seen = new Map<string, Cell>();
  for (const cell of cells) {
    const id = instanceId(name, cell);
    const other = seen.get(id);
    if (other) {
      throw new UserError(`Two cells of the matrix of stage "${name}" have the same name: ${id}.`, {
        code: "BAD_VALUE",
        where: placeOf(located, ["matrix"]),
        hint: `They are ${JSON.stringify(other)} and ${JSON.stringify(cell)}. Let the values differ as text too.`,
      });
    }
    seen.set(id, cell);
  }
}

async function loadNamedModule(
  name: string,
  use: string,
  located: LocatedMap,
  source: GraphSource,
): Promise<StageModule> {
  try {
    return await source.loadModule(use);
  } catch (error) {
    if (error instanceof UserError && !error.where) {
      throw new UserError(`Stage "${name}": ${error.message}`, {
        code: error.code,
        where: placeOf(located, ["use"]),
        hint: error.hint,
        cause: error.cause,
      });
    }
    throw error;
  }
}

function draftInstance(
  name: string,
  spec: StageSpec,
  cell: Cell,
  module: StageModule | undefined,
  located: LocatedMap,
  source: GraphSource,
): Draft {
  const scope: Scope = { matrix: cell, params: source.params };
  const id = instanceId(name, cell);
  const inputs = getMap(located, "inputs") ?? emptyMap(located.where);
  const seedAxis = cell["seed"];
  return {
    id,
    name,
    matrix: cell,
    module,
    params: module ? resolveParams(id, module, located, scope, source) : {},
    command: module ? undefined : commandOf(spec, scope),
    inputTexts: substitute(inputs, scope) as LocatedMap,
    seed: typeof seedAxis === "number" ? seedAxis : (spec.seed ?? 1),
    resources: spec.resources ?? {},
    where: located.where,
  };
}

/** params.<stage name> with the stage's own `params` over them, substituted and parsed by the stage's schema. */
function resolveParams(
  id: string,
  module: StageModule,
  located: LocatedMap,
  scope: Scope,
  source: GraphSource,
): Record<string, unknown> {
  const name = id.split("[")[0]!;
  const shared = source.params.entries.get(name)?.value;
  const merged = mergeLocated(shared, located.entries.get("params")?.value) ?? emptyMap(located.where);
  const withClaims = addHypotheses(module, merged, source.root);
  const resolved = substitute(withClaims, scope);
  const schema = module.definition.params;
  const parsed = schema.safeParse(plain(resolved));
  if (!parsed.success)
    throw configurationError(parsed.error, { of: `the parameters of stage "${id}"`, located: resolved, schema });
  const odd = notJson(parsed.data);
  if (odd) {
    throw new UserError(`The parameters of stage "${id}" are no plain JSON after its schema has read them.`, {
      code: "BAD_STAGE_MODULE",
      where: placeOf(resolved, odd),
      hint: `Let the schema give numbers, words, lists or maps for "${odd.map(String).join(".")}", and convert in run().`,
    });
  }
  return parsed.data as Record<string, unknown>;
}

/** Path of the first value that would not come back equal from JSON, or undefined. Members that are undefined are left out. */
function notJson(value: unknown, at: readonly PropertyKey[] = []): readonly PropertyKey[] | undefined {
  if (value === null || typeof value === "string" || typeof value === "boolean") return undefined;
  if (typeof value === "number") return Number.isFinite(value) ? undefined : at;
  if (Array.isArray(value))
    return firstOf(
      value.map((item, index) => [index, item]),
      at,
    );
  if (typeof value !== "object" || ![Object.prototype, null].includes(Object.getPrototypeOf(value))) return at;
  return firstOf(
    Object.entries(value).filter(([, member]) => member !== undefined),
    at,
  );
}

function firstOf(members: readonly (readonly [PropertyKey, unknown])[], at: readonly PropertyKey[]) {
  for (const [key, member] of members) {
    const odd: readonly PropertyKey[] | undefined = notJson(member, [...at, key]);
    if (odd) return odd;
  }
  return undefined;
}

/** A stage that writes a report gets the registered claims as its parameter `hypotheses`, unless it names its own. */
function addHypotheses(module: StageModule, params: Located, root: LocatedMap): Located {
  const writesReport = Object.values(module.definition.outputs).includes("report");
  const claims = getMap(root, "hypotheses");
  if (!writesReport || !claims || params.kind !== "map" || params.entries.has("hypotheses")) return params;
  const items = [...claims.entries].map(([name, entry]): Located => {
    const label: Located = { kind: "scalar", value: name, where: entry.keyWhere };
    return entry.value.kind === "map" ? setPath(entry.value, ["name"], label, entry.keyWhere) : entry.value;
  });
  return setPath(params, ["hypotheses"], { kind: "list", items, where: claims.where }, claims.where);
}

function commandOf(spec: StageSpec, scope: Scope): CommandSpec {
  const text = (value: string) => substituteKnown(value, scope);
  return {
    command: text(spec.cmd!),
    deps: (spec.deps ?? []).map(text),
    outs: (spec.outs ?? []).map(text),
    env: Object.fromEntries(Object.entries(spec.env ?? {}).map(([key, value]) => [key, text(value)])),
  };
}

/** A namespace below params that is neither a stage nor read by any `${...}` is a typing error. */
function checkNamespaces(source: GraphSource, stages: LocatedMap, specs: Readonly<Record<string, StageSpec>>): void {
  const names = Object.keys(specs);
  const used = new Set([...names, ...namespacesInUse(source, stages, specs)]);
  for (const [key, entry] of source.params.entries) {
    if (used.has(key)) continue;
    throw new UserError(`Nothing uses the parameters "${key}": it is no stage, and no \${...} reads it.`, {
      code: "UNKNOWN_KEY",
      where: entry.keyWhere,
      hint: `Stages are: ${names.join(", ")}.${didYouMean(key, used)}`,
    });
  }
}

/** In a stage and its parameters `${model}` reads the axis `model`, so params.model would stand there unread. */
function namespacesInUse(
  { root, params }: GraphSource,
  stages: LocatedMap,
  specs: Readonly<Record<string, StageSpec>>,
): string[] {
  const own = [...stages.entries, ...params.entries].flatMap(([name, { value }]) => {
    const { include = [], exclude: _, ...axes } = specs[name]?.matrix ?? {};
    const always = Object.keys(axes).filter((axis) => include.every((cell) => axis in cell));
    return [...namespacesRead(value, always)];
  });
  // Other profiles read too: what only they use is no mistake.
  const others = getMap(root, "profiles");
  return others ? [...own, ...namespacesRead(others)] : own;
}
