// Decides what a stage instance needs, from the store alone. The dry run, `status`, `why` and the real run all ask
// planNode(): the first three for the whole graph at once, the real run again for each node once its inputs are there.

import type { ActionRecord, Store } from "../store/store.ts";
import { type Digest, shortDigest } from "../util/digest.ts";
import { FileDigests } from "./file-digests.ts";
import { readInstances } from "./instances.ts";
import {
  type ActionPreimage,
  actionPreimage,
  type DeviceChoice,
  type KeyContext,
  type NamedInput,
  stageKey,
} from "./key.ts";
import type { ArtifactRef, Pipeline, StageNode } from "./node.ts";
import { neededFor, selectNodes, upstreamOf } from "./selection.ts";
import type { DeviceName, Precision } from "./stage.ts";

/** Why a stage would run. */
export type RunReason =
  | { readonly kind: "no-record" }
  | { readonly kind: "forced" }
  /** Its outputs are recorded but their bytes are gone from the store. */
  | { readonly kind: "missing"; readonly output: string; readonly objects: readonly Digest[] }
  /** Its outputs are recorded but their bytes changed; the store has set them aside. */
  | {
      readonly kind: "damaged";
      readonly output: string;
      readonly objects: readonly Digest[];
      readonly files: readonly string[];
    }
  /** Its key is known only after these ran. It may turn out fresh. */
  | { readonly kind: "upstream"; readonly stages: readonly string[] };

interface Planned {
  readonly node: StageNode;
}
interface WithKey extends Planned {
  readonly key: Digest;
  readonly preimage: ActionPreimage;
}
/** `fresh`: as the last run of this instance left it. `cached`: an older record fits, nothing has to run. */
export interface Settled extends WithKey {
  readonly state: "fresh" | "cached";
  readonly record: ActionRecord;
  readonly outputs: Readonly<Record<string, Digest>>;
}
/** Would run now. */
export interface Stale extends WithKey {
  readonly state: "stale";
  readonly reason: RunReason;
}
/** Waits for stages that would run. */
export interface Blocked extends Planned {
  readonly state: "blocked";
  readonly reason: Extract<RunReason, { kind: "upstream" }>;
}
export type PlannedNode = Settled | Stale | Blocked;

export interface PlanOptions {
  readonly pipeline: Pipeline;
  readonly store: Store;
  readonly device: DeviceChoice;
  /** The class of machines on which a device gives equal bytes. Default: the device's name and the processor's. */
  readonly deviceClass?: (device: DeviceName, precision: Precision) => string;
  /** Run the targets (all stages without targets) even if nothing changed. */
  readonly force?: boolean;
  /** Stage names or instance ids; they and what they need are planned. Empty or absent: everything. */
  readonly targets?: readonly string[] | undefined;
}

export interface Plan {
  /** In topological order. */
  readonly nodes: readonly PlannedNode[];
  readonly byId: ReadonlyMap<string, PlannedNode>;
  /** What the decisions rest on beside the pipeline. */
  readonly context: PlanContext;
}

/** What planNode() needs beside the node. */
export interface PlanContext extends KeyContext {
  readonly store: Store;
  /** Key of each instance's last result; a hint that only tells fresh from cached. */
  readonly instances: Readonly<Record<string, Digest>>;
  readonly forced: (node: StageNode) => boolean;
  readonly files: FileDigests;
}

/** Throws a UserError for an unknown target, a command's missing dep or a stage's missing file. */
export async function planPipeline(options: PlanOptions): Promise<Plan> {
  const context = planContext(options);
  const byId = new Map<string, PlannedNode>();
  for (const node of neededFor(options.pipeline, options.targets ?? [])) {
    byId.set(node.id, await planNode(node, (id) => settledOutputs(byId.get(id)), context));
  }
  context.files.flush();
  return { nodes: [...byId.values()], byId, context };
}

export function planContext(options: PlanOptions): PlanContext {
  const { pipeline, store, device, deviceClass = defaultDeviceClass } = options;
  const targets = options.targets?.length
    ? options.targets.flatMap((text) => selectNodes(pipeline, text))
    : pipeline.nodes;
  const forced = new Set(options.force ? targets : []);
  const files = new FileDigests(store.root);
  return {
    store,
    root: pipeline.root,
    device,
    deviceClass,
    instances: readInstances(store.root),
    forced: (node) => forced.has(node),
    files,
    fileDigest: files.digest,
  };
}

/** The decision for one node; `outputsOf` gives the digests of an instance whose outputs are known and whole. */
export async function planNode(
  node: StageNode,
  outputsOf: (id: string) => Readonly<Record<string, Digest>> | undefined,
  context: PlanContext,
): Promise<PlannedNode> {
  const waitsFor = upstreamOf(node).filter((id) => outputsOf(id) === undefined);
  if (waitsFor.length > 0) return { node, state: "blocked", reason: { kind: "upstream", stages: waitsFor } };
  const preimage = actionPreimage(node, namedInputs(node, outputsOf), context);
  const key = stageKey(preimage);
  if (context.forced(node)) return { node, state: "stale", key, preimage, reason: { kind: "forced" } };
  const found = findResult(key, context.store);
  if ("reason" in found) return { node, state: "stale", key, preimage, reason: found.reason };
  const state = context.instances[node.id] === key ? "fresh" : "cached";
  return { node, state, key, preimage, record: found.record, outputs: found.record.outputs };
}

/** A hit is a record whose every object is there and verifies; an index or a mode bit is no evidence. */
export function findResult(
  key: Digest,
  store: Store,
): { readonly record: ActionRecord } | { readonly reason: RunReason } {
  const record = store.readAction(key);
  if (!record) return { reason: { kind: "no-record" } };
  for (const [output, tree] of Object.entries(record.outputs)) {
    const { missing, damaged } = store.checkTree(tree);
    if (damaged.length > 0) {
      const objects = damaged.map((found) => found.digest);
      return { reason: { kind: "damaged", output, objects, files: damaged.map((found) => found.path) } };
    }
    if (missing.length > 0) return { reason: { kind: "missing", output, objects: missing } };
  }
  return { record };
}

/** A sentence for plans and events. */
export function describeReason(reason: RunReason): string {
  switch (reason.kind) {
    case "no-record":
      return "never run with this key";
    case "forced":
      return "asked for by --force";
    case "missing":
      return `output ${reason.output} is missing ${objectList(reason.objects)}`;
    case "damaged":
      return `output ${reason.output} has damaged ${objectList(reason.objects)}`;
    case "upstream":
      return `waits for ${someOf(reason.stages, 2)}`;
  }
}

function objectList(objects: readonly Digest[]): string {
  return `object${objects.length > 1 ? "s" : ""} ${someOf(objects.map(shortDigest), 3)}`;
}

/** `a, b and 18 more` */
function someOf(names: readonly string[], most: number): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

export function settledOutputs(planned: PlannedNode | undefined): Readonly<Record<string, Digest>> | undefined {
  return planned && "outputs" in planned ? planned.outputs : undefined;
}

/** Throws where `outputsOf` does not know an instance that the node reads. */
export function namedInputs(
  node: StageNode,
  outputsOf: (id: string) => Readonly<Record<string, Digest>> | undefined,
): ActionPreimage["inputs"] {
  const named = (ref: ArtifactRef): NamedInput => {
    const digest = outputsOf(ref.node)?.[ref.output];
    if (!digest) throw new Error(`${ref.node} has no output ${ref.output}, which ${node.id} reads`);
    return { stage: ref.node, digest };
  };
  return Object.fromEntries(
    Object.entries(node.inputs).map(([name, input]) => [name, "node" in input ? named(input) : input.map(named)]),
  );
}

function defaultDeviceClass(device: DeviceName): string {
  return `${device}-${process.arch}`;
}
