// Inputs first: a stable topological order, and the message for a circle.

import { UserError } from "../util/errors.ts";
import type { StageNode } from "./node.ts";
import { upstreamOf } from "./selection.ts";

/** Depth-first in the given order, so ties keep the order of pipeline.yaml. Throws UserError CYCLE with the whole circle. */
export function topologicalOrder(nodes: readonly StageNode[]): readonly StageNode[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const order: StageNode[] = [];
  const state = new Map<string, "open" | "done">();
  const trail: string[] = [];
  const visit = (node: StageNode): void => {
    if (state.get(node.id) === "done") return;
    trail.push(node.id);
    if (state.get(node.id) === "open") {
      const circle = trail.slice(trail.indexOf(node.id));
      throw new UserError(`The stages form a circle: ${circle.join(" -> ")}.`, {
        code: "CYCLE",
        where: node.where,
        hint: "Each stage above reads the next one. Take one of these inputs away.",
      });
    }
    state.set(node.id, "open");
    for (const id of upstreamOf(node)) visit(byId.get(id)!);
    trail.pop();
    state.set(node.id, "done");
    order.push(node);
  };
  for (const node of nodes) visit(node);
  return order;
}
