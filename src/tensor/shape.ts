// Shapes and what is said when they do not fit.

export type Shape = readonly number[];

export function elementCount(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** `(8, 128, 352)` */
export function formatShape(shape: Shape): string {
  return `(${shape.join(", ")})`;
}

/** Two operands of an op that do not fit: a mistake in the calling code. */
export class ShapeError extends Error {
  constructor(
    op: string,
    left: readonly [name: string, shape: Shape],
    right: readonly [name: string, shape: Shape],
    axis: string,
  ) {
    super(`${op}: ${left[0]} ${formatShape(left[1])} and ${right[0]} ${formatShape(right[1])} differ in ${axis}`);
    this.name = "ShapeError";
  }
}

/** Throws a ShapeError unless both operands have the same shape; names the first axis that differs. */
export function requireSameShape(
  op: string,
  left: readonly [name: string, shape: Shape],
  right: readonly [name: string, shape: Shape],
): void {
  const [a, b] = [left[1], right[1]];
  if (a.length !== b.length) throw new ShapeError(op, left, right, "the number of axes");
  const axis = a.findIndex((size, i) => size !== b[i]);
  if (axis >= 0) throw new ShapeError(op, left, right, `axis ${axis}`);
}
