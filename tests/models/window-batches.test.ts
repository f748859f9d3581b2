import fc from "fast-check";
import { expect, test } from "vitest";
import { type Window, wholeWindow } from "../../src/models/language-model.ts";
import { batchWindows, type WindowBatch } from "../../src/models/window-batches.ts";
import { randomIds } from "./tiny.ts";

/** Few different ids, so that windows often begin alike or are the same. */
const windowOf = fc
  .array(fc.integer({ min: 1, max: 2 }), { minLength: 1, maxLength: 9 })
  .chain((ids) => fc.nat(ids.length - 1).map((scored) => ({ ids: Int32Array.from(ids), scored })));

/** What row `row` has seen: the ids of its sequence up to its position. */
function historyOf({ ids, T, positions }: WindowBatch, row: number): string {
  const position = positions[row]!;
  return ids.subarray(position - (position % T), position + 1).join();
}

test("each value rests on exactly the ids before it, wherever rows are shared", () => {
  fc.assert(
    fc.property(fc.array(windowOf, { maxLength: 12 }), fc.integer({ min: 1, max: 40 }), (windows, maxRows) => {
      const done: number[] = [];
      for (const batch of batchWindows(windows, maxRows)) {
        const { B, T, ids, rowAt, positions, wantedRows, wantedPositions, targets } = batch;
        expect([ids.length, rowAt.length]).toEqual([B * T, B * T]);
        expect([...wantedRows].map((row) => positions[row])).toEqual([...wantedPositions]);
        let next = 0;
        for (const index of batch.windows) {
          const { ids: own, scored } = windows[index]!;
          for (let t = own.length - 1 - scored; t < own.length - 1; t++, next++) {
            expect(historyOf(batch, wantedRows[next]!)).toBe(own.subarray(0, t + 1).join());
            expect(targets[next]).toBe(own[t + 1]);
          }
          done.push(index);
        }
        expect(next).toBe(targets.length);
        // What attention reads at a position is the row that has seen the same ids.
        for (const [row, position] of positions.entries()) {
          for (let p = position - (position % T); p <= position; p++) {
            expect(historyOf(batch, rowAt[p]!)).toBe(ids.subarray(position - (position % T), p + 1).join());
          }
          expect(rowAt[position]).toBe(row);
        }
      }
      const scoredOnes = [...windows.keys()].filter((index) => windows[index]!.scored > 0);
      expect(done.sort((a, b) => a - b)).toEqual(scoredOnes);
    }),
  );
});

test("a batch has at most as many rows as asked, unless one sequence has more", () => {
  fc.assert(
    fc.property(fc.array(windowOf, { maxLength: 12 }), fc.integer({ min: 1, max: 40 }), (windows, maxRows) => {
      for (const { B, positions } of batchWindows(windows, maxRows)) {
        if (positions.length > maxRows) expect(B).toBe(1);
      }
    }),
  );
});

test("four answers of one id to a question cost one sequence", () => {
  const question = randomIds(1, 20);
  const windows: Window[] = [3, 4, 5, 6].map((answer) => ({ ids: Int32Array.of(...question, answer), scored: 1 }));
  const [batch, ...others] = [...batchWindows(windows, 1024)];
  expect(others).toEqual([]);
  expect([batch!.B, batch!.T, batch!.positions.length]).toEqual([1, 20, 20]);
  expect([...batch!.targets]).toEqual([3, 4, 5, 6]);
});

test("answers of several ids share the rows of their question", () => {
  const question = randomIds(1, 20);
  const windows = [5, 3, 4].map((length, i) => ({
    ids: Int32Array.of(...question, ...randomIds(7 + i, length)),
    scored: length,
  }));
  const [batch] = [...batchWindows(windows, 1024)];
  expect([batch!.B, batch!.T]).toEqual([3, 24]);
  expect(batch!.positions).toHaveLength(20 + 4 + 2 + 3);
});

test("windows of one length are laid out plainly: each position is a row and a value, in order", () => {
  const [batch] = [
    ...batchWindows(
      [1, 2, 3].map((seed) => wholeWindow(randomIds(seed, 9))),
      1024,
    ),
  ];
  const inOrder = Array.from({ length: 24 }, (_, i) => i);
  expect([...batch!.rowAt]).toEqual(inOrder);
  expect([...batch!.wantedPositions]).toEqual(inOrder);
});
