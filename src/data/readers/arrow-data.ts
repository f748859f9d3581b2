// Whether the parts of an Arrow column fit together: the library would follow a damaged offset out of its data, or count
// to two thousand million.

import type { Data, DataType } from "apache-arrow";

type Types = typeof import("apache-arrow").DataType;

/** Throws an Error where offsets fall, or reach beyond what they point into, or values are fewer than rows. */
export function requireSound(data: Data, types: Types): void {
  const { type, length, children } = data as Data & { readonly type: DataType };
  if (length === 0) return;
  if (types.isDictionary(type)) for (const part of data.dictionary?.data ?? []) requireSound(part, types);
  else if (types.isList(type) || types.isLargeList(type) || types.isMap(type))
    requireOffsets(data, children[0]!.length);
  else if (types.isUtf8(type) || types.isLargeUtf8(type)) requireOffsets(data, data.values.length);
  else if (types.isStruct(type)) for (const child of children) requireRows(child, length);
  else if (types.isFixedSizeList(type)) requireRows(children[0]!, length * type.listSize);
  else if (types.isBool(type)) requireLength(data.values.length * 8, length);
  if (types.isDictionary(type) || types.isInt(type) || types.isFloat(type)) requireLength(data.values.length, length);
  for (const child of children) requireSound(child, types);
}

function requireOffsets({ length, valueOffsets }: Data, end: number): void {
  requireLength(valueOffsets.length, length + 1);
  let last: number | bigint = 0;
  for (let row = 0; row <= length; row++) {
    const offset: number | bigint = valueOffsets[row]!;
    if (offset < last) throw new Error("a column's offsets fall");
    last = offset;
  }
  requireLength(end, Number(last));
}

function requireRows(child: Data, rows: number): void {
  requireLength(child.length, rows);
}

function requireLength(length: number, wanted: number): void {
  if (!(length >= wanted)) throw new Error("a column has fewer values than rows");
}
