import fc from "fast-check";
import { expect, test } from "vitest";
import { cutAfter, cutAt, cutObjects, type FindCut, readRecords } from "../../../src/data/readers/records.ts";

async function* chunksOf(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function recordsOf(text: string, sizes: readonly number[], findCut: FindCut): Promise<string[]> {
  const records: string[] = [];
  for await (const { bytes } of readRecords(chunksOf(Buffer.from(text), sizes), findCut)) {
    records.push(bytes.toString());
  }
  return records;
}

const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 });

test("cutting at a separator equals splitting the whole text, however the chunks fall", async () => {
  const piece = fc.string({ unit: fc.constantFrom("a", "b", "<", "|", "é"), maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1 }), sizes, async (pieces, chunks) => {
      const text = pieces.join("<|e|>");
      const expected = text.split("<|e|>");
      if (expected.at(-1) === "") expected.pop(); // a separator at the end starts no further record
      expect(await recordsOf(text, chunks, cutAt("<|e|>"))).toEqual(expected);
    }),
  );
});

test("cutting after a size loses nothing and cuts at line ends only", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ maxLength: 8 })),
      sizes,
      fc.integer({ min: 1, max: 20 }),
      async (lines, chunks, size) => {
        const text = lines.map((line) => `${line}\n`).join("");
        const records = await recordsOf(text, chunks, cutAfter(size));
        expect(records.join("")).toBe(text);
        for (const record of records.slice(0, -1)) {
          expect(record.endsWith("\n")).toBe(true);
          expect(Buffer.byteLength(record)).toBeGreaterThan(size);
        }
      },
    ),
  );
});

test("the objects of a JSON array are found in any spacing and with any text inside", async () => {
  const row = fc.record({ text: fc.string({ unit: fc.constantFrom("{", "}", '"', "\\", "a", "\n", "[", "]", ",") }) });
  const nested = fc.array(fc.record({ row, list: fc.array(row, { maxLength: 2 }) }));
  await fc.assert(
    fc.asyncProperty(nested, sizes, fc.constantFrom(0, 2), async (rows, chunks, indent) => {
      const records = await recordsOf(JSON.stringify(rows, null, indent), chunks, cutObjects());
      const rest = records.pop(); // what is behind the last object
      expect((rest ?? "]").trim()).toMatch(/^\[?\]$/);
      expect(records.map((record) => JSON.parse(record))).toEqual(rows);
    }),
  );
});

test("a record that grows beyond the bound is refused", async () => {
  const long = Buffer.alloc(3_000_000, "x");
  const read = async () => {
    for await (const _ of readRecords(chunksOf(long, [65_536]), cutAt("\n"), 1_000_000)) expect.unreachable();
  };
  await expect(read()).rejects.toThrow("longer than 1000000 bytes");
});
