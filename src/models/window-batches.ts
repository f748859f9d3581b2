// Windows put together so that little is computed twice: those that begin alike share the rows of their beginning
// (the four answers to a question), those of one length stand side by side, and only what is scored is projected.

import type { Window } from "./language-model.ts";

/** One pass. B sequences of T positions, N rows of activations, W values to compute. */
export interface WindowBatch {
  readonly B: number;
  readonly T: number;
  readonly ids: Int32Array; // (B, T), 0 beyond a sequence's end
  readonly rowAt: Int32Array; // (B, T), the row at each position; any row beyond a sequence's end
  readonly positions: Int32Array; // (N), a position b*T + t of each row
  readonly wantedRows: Int32Array; // (W)
  readonly wantedPositions: Int32Array; // (W)
  readonly targets: Int32Array; // (W)
  /** Places in the list of windows; their values follow one another in this order. */
  readonly windows: readonly number[];
}

/** So many positions to a row at most: sharing saves no memory in attention. */
const POSITIONS_PER_ROW = 4;

/** One in so many rows of a window at least must be shared. */
const SHARED_PART = 4;

/** Batches of at most `maxRows` rows, or of one sequence. Windows of which nothing is scored are in none. */
export function* batchWindows(windows: readonly Window[], maxRows: number): Generator<WindowBatch> {
  let members: number[] = [];
  let [rows, sequences, T] = [0, 0, 0];
  for (const index of similarTogether(windows)) {
    const input = inputOf(windows[index]!);
    const before = members.length > 0 ? inputOf(windows[members.at(-1)!]!) : input.subarray(0, 0);
    const added = input.length - sharedLength(before, input);
    const widest = Math.max(T, input.length);
    const isFull = rows + added > maxRows || (sequences + 1) * widest > POSITIONS_PER_ROW * maxRows;
    if (isFull && members.length > 0) {
      yield layOut(windows, members, T);
      members = [];
      [rows, sequences, T] = [input.length, 1, input.length];
    } else {
      rows += added;
      sequences += added > 0 ? 1 : 0;
      T = widest;
    }
    members.push(index);
  }
  if (members.length > 0) yield layOut(windows, members, T);
}

/** What the model is shown: the last id is only predicted. */
function inputOf({ ids }: Window): Int32Array {
  return ids.subarray(0, -1);
}

function commonLength(a: Int32Array, b: Int32Array): number {
  const end = Math.min(a.length, b.length);
  let length = 0;
  while (length < end && a[length] === b[length]) length++;
  return length;
}

/** Rows that `input` has in common with the window before it: none if they are too few to be worth moving others. */
function sharedLength(before: Int32Array, input: Int32Array): number {
  const common = commonLength(before, input);
  return SHARED_PART * common >= input.length ? common : 0;
}

/** Places of the windows to score: families with a common beginning together, the family with the longest window first. */
function similarTogether(windows: readonly Window[]): number[] {
  const inputs = windows.map(inputOf);
  const order = [...windows.keys()].filter((index) => windows[index]!.scored > 0);
  order.sort((a, b) => compare(inputs[a]!, inputs[b]!) || a - b);
  const families: { longest: number; members: number[] }[] = [];
  let before: Int32Array | undefined;
  for (const index of order) {
    const input = inputs[index]!;
    const family = families.at(-1);
    if (family && before && sharedLength(before, input) > 0) {
      family.members.push(index);
      family.longest = Math.max(family.longest, input.length);
    } else {
      families.push({ longest: input.length, members: [index] });
    }
    before = input;
  }
  families.sort((a, b) => b.longest - a.longest);
  return families.flatMap(({ members }) => members);
}

/** By ids from left to right; what another continues comes after it, so that it needs no rows of its own. */
function compare(a: Int32Array, b: Int32Array): number {
  const common = commonLength(a, b);
  return common < a.length && common < b.length ? a[common]! - b[common]! : b.length - a.length;
}

function layOut(windows: readonly Window[], members: readonly number[], T: number): WindowBatch {
  const [ids, rowAt]: [number[], number[]] = [[], []];
  const [positions, wantedRows, wantedPositions, targets]: [number[], number[], number[], number[]] = [[], [], [], []];
  let before: Int32Array = new Int32Array(0);
  let rows: number[] = []; // of `before`
  let B = 0;
  for (const index of members) {
    const window = windows[index]!;
    const input = inputOf(window);
    const common = sharedLength(before, input);
    if (common < input.length) {
      rows = rows.slice(0, common);
      for (let t = common; t < input.length; t++) {
        rows.push(positions.length);
        positions.push(B * T + t);
      }
      for (let t = 0; t < T; t++) {
        ids.push(input[t] ?? 0);
        rowAt.push(rows[t] ?? 0);
      }
      before = input;
      B++;
    }
    for (let t = input.length - window.scored; t < input.length; t++) {
      wantedRows.push(rows[t]!);
      wantedPositions.push(positions[rows[t]!]!);
      targets.push(window.ids[t + 1]!);
    }
  }
  return {
    B,
    T,
    ids: Int32Array.from(ids),
    rowAt: Int32Array.from(rowAt),
    positions: Int32Array.from(positions),
    wantedRows: Int32Array.from(wantedRows),
    wantedPositions: Int32Array.from(wantedPositions),
    targets: Int32Array.from(targets),
    windows: members,
  };
}
