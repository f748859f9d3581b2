// Do the cells that a hypothesis compares exist? Asked before anything runs: a misspelt cell would compare nothing.

import { didYouMean, UserError } from "../util/errors.ts";
import type { PipelineSpec } from "./config-schema.ts";
import { type LocatedMap, placeOf } from "./located.ts";
import { agrees } from "./matrix.ts";
import type { StageNode } from "./node.ts";

/** Throws UserError UNKNOWN_CELL where no instance agrees with a treatment or a control. */
export function checkHypotheses(
  root: LocatedMap,
  { hypotheses }: Pick<PipelineSpec, "hypotheses">,
  nodes: readonly StageNode[],
): void {
  for (const [name, hypothesis] of Object.entries(hypotheses)) {
    for (const side of ["treatment", "control"] as const) {
      const cell = hypothesis[side];
      if (nodes.some((node) => agrees(node.matrix, cell))) continue;
      const { axis, hint } = explain(cell, nodes);
      const text = Object.entries(cell).map(([key, value]) => `${key}=${value}`);
      throw new UserError(`No stage instance has the ${side} of the hypothesis "${name}": ${text.join(", ")}.`, {
        code: "UNKNOWN_CELL",
        where: placeOf(root, ["hypotheses", name, side, ...(axis === undefined ? [] : [axis])]),
        hint,
      });
    }
  }
}

/** The axis that is wrong by itself, where one is. */
function explain(
  cell: Readonly<Record<string, unknown>>,
  nodes: readonly StageNode[],
): { readonly axis?: string; readonly hint: string } {
  const axes = [...new Set(nodes.flatMap((node) => Object.keys(node.matrix)))];
  for (const [axis, value] of Object.entries(cell)) {
    if (!axes.includes(axis)) {
      return { axis, hint: `Matrix axes are: ${axes.join(", ") || "none"}.${didYouMean(axis, axes)}` };
    }
    const values = [...new Set(nodes.flatMap(({ matrix }) => (axis in matrix ? [String(matrix[axis])] : [])))];
    if (!values.includes(String(value))) {
      return { axis, hint: `Values of "${axis}" are: ${values.join(", ")}.${didYouMean(String(value), values)}` };
    }
  }
  return { hint: "Each value exists, but no instance has all of them." };
}
