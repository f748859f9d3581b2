// Which stage instances a request is about: names and ids as users type them.

import { didYouMean, UserError } from "../util/errors.ts";
import { agrees } from "./matrix.ts";
import type { ArtifactRef, Pipeline, StageNode } from "./node.ts";
import { parseReference } from "./reference.ts";

/**
 * The instances that `text` names: one id, every instance of a stage, or those that agree with some of its axes
 * (`train[model=baseline]`). Throws UserError UNKNOWN_TARGET.
 */
export function selectNodes(pipeline: Pipeline, text: string): readonly StageNode[] {
  const exact = pipeline.byId.get(text);
  if (exact) return [exact];
  const { stage, select = {} } = parseReference(text, { path: text });
  const instances = pipeline.nodes.filter((node) => node.name === stage);
  const found = instances.filter((node) => agrees(node.matrix, select));
  if (found.length > 0) return found;
  const names = [...new Set(pipeline.nodes.map((node) => node.name))];
  throw new UserError(`There is no stage "${text}".`, {
    code: "UNKNOWN_TARGET",
    hint:
      instances.length > 0
        ? `Instances of ${stage} are: ${instances.map((node) => node.id).join(", ")}`
        : `Stages are: ${names.join(", ")}.${didYouMean(stage, names)}`,
  });
}

/** The targets and everything that they need, in topological order; without targets, everything. */
export function neededFor(pipeline: Pipeline, targets: readonly string[]): readonly StageNode[] {
  if (targets.length === 0) return pipeline.nodes;
  const needed = new Set<string>();
  const add = (node: StageNode): void => {
    if (needed.has(node.id)) return;
    needed.add(node.id);
    for (const id of upstreamOf(node)) add(pipeline.byId.get(id)!);
  };
  for (const target of targets) selectNodes(pipeline, target).forEach(add);
  return pipeline.nodes.filter((node) => needed.has(node.id));
}

/** Ids of the instances that a node reads, each once, in the order of its inputs. */
export function upstreamOf(node: StageNode): readonly string[] {
  const refs = Object.values(node.inputs).flatMap((input): readonly ArtifactRef[] =>
    "node" in input ? [input] : input,
  );
  return [...new Set(refs.map((ref) => ref.node))];
}
