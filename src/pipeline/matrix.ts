// `matrix`: the product of lists, minus `exclude`, plus `include`.

import { canonicalJson } from "../util/canonical-json.ts";
import type { Scalar } from "./node.ts";

export type Cell = Readonly<Record<string, Scalar>>;

export interface MatrixSpec {
  readonly axes: Readonly<Record<string, readonly Scalar[]>>;
  /** Cells added after the product; they may leave axes out or bring new ones. */
  readonly include: readonly Cell[];
  /** Cells of the product that agree with one of these on all its axes are left out. */
  readonly exclude: readonly Cell[];
}

/** All cells in the order of the lists, the last axis fastest; no cell twice. Without axes and include: one empty cell. */
export function expandMatrix(spec: MatrixSpec | undefined): readonly Cell[] {
  if (!spec) return [{}];
  const names = Object.keys(spec.axes);
  let cells: Cell[] = names.length === 0 ? [] : [{}];
  for (const name of names) {
    cells = cells.flatMap((cell) => spec.axes[name]!.map((value) => ({ ...cell, [name]: value })));
  }
  const kept = cells.filter((cell) => !spec.exclude.some((pattern) => agrees(cell, pattern)));
  const seen = new Set<string>();
  return [...kept, ...spec.include].filter((cell) => {
    const key = canonicalJson(cell);
    return seen.has(key) ? false : seen.add(key);
  });
}

/** Does `cell` have all values of `pattern`? Numbers and their decimal spelling agree, so `seed=1` selects seed 1. */
export function agrees(cell: Cell, pattern: Readonly<Record<string, Scalar>>): boolean {
  return Object.entries(pattern).every(([axis, value]) => axis in cell && String(cell[axis]) === String(value));
}

/** `train[model=baseline,seed=1]`; the bare name for the empty cell. */
export function instanceId(name: string, cell: Cell): string {
  const axes = Object.entries(cell).map(([axis, value]) => `${axis}=${value}`);
  return axes.length === 0 ? name : `${name}[${axes.join(",")}]`;
}
