// Launches that go over many tensors at once, by a table of them: see kernels/tensors.cuh.

import type { PlainArgument, TableArgument } from "../launcher.ts";
import { pointer, u32 } from "./arguments.ts";

/** What a kernel needs of one tensor. */
export interface TableRow {
  readonly pointers: readonly bigint[];
  readonly length: number;
  /** How many blocks share the work. */
  readonly blocks: number;
  /** After the length. */
  readonly numbers?: readonly PlainArgument[];
}

/** The tensors of one launch. */
export interface Table {
  readonly argument: TableArgument;
  readonly count: number;
  /** Of all its tensors. */
  readonly blocks: number;
  /** Place of its first tensor among all. */
  readonly first: number;
}

/** Cuts rows into as many tables of at most `capacity` as it takes. */
export function tablesOf(rows: readonly TableRow[], capacity: number): Table[] {
  const tables: Table[] = [];
  for (let first = 0; first < rows.length; first += capacity) {
    const part = rows.slice(first, first + capacity);
    let blocks = 0;
    const cells = part.map((row): PlainArgument[] => {
      const begin = blocks;
      blocks += row.blocks;
      return [...row.pointers.map(pointer), u32(begin), u32(row.blocks), u32(row.length), ...(row.numbers ?? [])];
    });
    tables.push({ argument: { type: "table", rows: cells }, count: part.length, blocks, first });
  }
  return tables;
}
