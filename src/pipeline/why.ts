// Why a stage would run: the differences, field by field, between what decides its key now and what decided the result
// that it had before. (A reason for every rerun, as in ninja-build/ninja: src/explanations.h.)

import type { ActionRecord, Store } from "../store/store.ts";
import { canonicalJson } from "../util/canonical-json.ts";
import { type Digest, isDigest, shortDigest } from "../util/digest.ts";
import { sectionsOf } from "./fingerprint.ts";
import { type ActionPreimage, actionPreimage, stageKey } from "./key.ts";
import type { StageNode } from "./node.ts";
import { describeReason, namedInputs, type Plan, type PlannedNode, type RunReason, settledOutputs } from "./planner.ts";

export interface Difference {
  /** Dotted path in the preimage, `params.steps`, `inputs.runs[evaluate[seed=1]]`. */
  readonly path: string;
  /** undefined: the field was not there. */
  readonly before: unknown;
  readonly now: unknown;
  /** What stands behind a changed digest: source files, the upstream stage. */
  readonly notes: readonly string[];
}

export interface Explanation {
  readonly id: string;
  readonly state: PlannedNode["state"];
  readonly reason?: RunReason;
  /** Its key now; absent while inputs are unknown. */
  readonly key?: Digest;
  /** The result that it is compared with; absent where the stage never ran. */
  readonly comparedWith?: {
    readonly stage: string;
    readonly key: Digest;
    readonly how: "last result" | "nearest record";
  };
  readonly differences: readonly Difference[];
}

/** Compares a node of the plan with its last result, else with the most similar record of the same stage. */
export function explain(node: StageNode, plan: Plan, store: Store): Explanation {
  const planned = plan.byId.get(node.id)!;
  const preimage = "preimage" in planned ? planned.preimage : assumedPreimage(node, plan, store);
  const about = {
    id: node.id,
    state: planned.state,
    ...("reason" in planned ? { reason: planned.reason } : {}),
    ...("key" in planned ? { key: planned.key } : {}),
  };
  const before = preimage && comparable(node, preimage, plan, store);
  if (!before) return { ...about, differences: [] };
  const { record, how } = before;
  return {
    ...about,
    comparedWith: { stage: record.stage, key: record.key, how },
    differences: preimageDifferences(record.preimage as ActionPreimage, preimage).map((difference) => ({
      ...difference,
      notes: notesOn(difference, record.preimage as ActionPreimage, preimage, store),
    })),
  };
}

/** Several lines, without a trailing newline. */
export function renderExplanation(explanation: Explanation): string {
  const { id, state, reason, comparedWith, differences } = explanation;
  const head = { fresh: "is fresh", cached: "is in the store", stale: "would run: ", blocked: "" }[state];
  const lines = [`${id} ${head}${reason ? describeReason(reason) : ""}`];
  if (!comparedWith) {
    lines.push("  It has never run here, and no record of the same stage is in the store.");
    return lines.join("\n");
  }
  const whose =
    comparedWith.how === "last result" ? "its last result" : `the nearest record, of ${comparedWith.stage},`;
  if (differences.length === 0) {
    const apart = state === "blocked" ? "Apart from what those give, nothing" : "Nothing";
    lines.push(`  ${apart} that decides it differs from ${whose} (key ${shortDigest(comparedWith.key)}).`);
    return lines.join("\n");
  }
  lines.push(`  Against ${whose} (key ${shortDigest(comparedWith.key)}):`);
  const width = Math.max(...differences.map((difference) => difference.path.length));
  for (const { path, before, now, notes } of differences) {
    lines.push(`    ${path.padEnd(width)}  ${valueText(before)} -> ${valueText(now)}`);
    for (const note of notes) lines.push(`    ${"".padEnd(width)}  ${note}`);
  }
  return lines.join("\n");
}

/** For a node that waits: with its upstream's last outputs in place of those that are not known yet. */
function assumedPreimage(node: StageNode, plan: Plan, store: Store): ActionPreimage | undefined {
  try {
    const outputs = (id: string) => settledOutputs(plan.byId.get(id)) ?? lastRecord(id, plan, store)?.outputs;
    return actionPreimage(node, namedInputs(node, outputs), plan.context);
  } catch {
    return undefined; // an upstream stage that never ran: there is nothing to compare
  }
}

function comparable(node: StageNode, now: ActionPreimage, plan: Plan, store: Store) {
  const last = lastRecord(node.id, plan, store);
  if (last) return { record: last, how: "last result" as const };
  const own = stageKey(now);
  const distance = (record: ActionRecord) => preimageDifferences(record.preimage as ActionPreimage, now).length;
  const nearest = store
    .listActions()
    .filter((record) => record.key !== own && (record.preimage as ActionPreimage).stage === now.stage)
    .filter((record) => record.stage.split("[")[0] === node.name)
    .map((record) => ({ record, distance: distance(record) }))
    .sort((a, b) => a.distance - b.distance)[0];
  return nearest && { record: nearest.record, how: "nearest record" as const };
}

function lastRecord(id: string, plan: Plan, store: Store): ActionRecord | undefined {
  const key = plan.context.instances[id];
  return key && store.readAction(key);
}

type Bare = Omit<Difference, "notes">;

function preimageDifferences(before: ActionPreimage, now: ActionPreimage): Bare[] {
  return differences(byStage(before), byStage(now), "");
}

/** Lists of inputs compare by the instance that made them, not by position. */
function byStage(preimage: ActionPreimage): unknown {
  const inputs = Object.entries(preimage.inputs).map(([name, input]) => [
    name,
    "digest" in input ? input : Object.fromEntries(input.map(({ stage, digest }) => [`[${stage}]`, digest])),
  ]);
  return { ...preimage, inputs: Object.fromEntries(inputs) };
}

function differences(before: unknown, now: unknown, path: string): Bare[] {
  if (isObject(before) && isObject(now)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
    return keys.flatMap((key) => differences(before[key], now[key], joinPath(path, key)));
  }
  if (before !== undefined && now !== undefined && canonicalJson(before) === canonicalJson(now)) return [];
  return before === now ? [] : [{ path, before, now }];
}

function joinPath(path: string, key: string): string {
  if (path === "" || key.startsWith("[")) return path + key;
  return /^[\w-]+$/.test(key) ? `${path}.${key}` : `${path}["${key}"]`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function notesOn(difference: Bare, before: ActionPreimage, now: ActionPreimage, store: Store): string[] {
  if (difference.path === "code.bundle") return changedFiles(before, now, store);
  const input = /^inputs\.([\w-]+)\.digest$/.exec(difference.path)?.[1];
  const made = input === undefined ? undefined : now.inputs[input];
  return made && "stage" in made ? [`${made.stage} gave other bytes`] : [];
}

function changedFiles(before: ActionPreimage, now: ActionPreimage, store: Store): string[] {
  const [old, present] = [before, now].map(({ code }) =>
    "bundle" in code ? sectionsOf(code.bundle, store.root) : undefined,
  );
  if (!old || !present) return [];
  const files = [...new Set([...Object.keys(old), ...Object.keys(present)])].sort();
  return files
    .filter((file) => old[file] !== present[file])
    .map((file) => (!present[file] ? `gone: ${file}` : !old[file] ? `new: ${file}` : `changed: ${file}`));
}

function valueText(value: unknown): string {
  if (value === undefined) return "(absent)";
  if (typeof value === "string" && isDigest(value)) return shortDigest(value);
  return canonicalJson(value);
}
