import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { readSafetensors, writeSafetensors } from "../../src/tensor/safetensors.ts";
import { UserError } from "../../src/util/errors.ts";

const folder = mkdtempSync(path.join(tmpdir(), "stlm-safetensors-"));
const file = path.join(folder, "a.safetensors");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tensor = (name: string, shape: number[], values: number[]) => ({
  name,
  shape,
  read: () => Float32Array.from(values),
});

test("what is written is read back, names, shapes, order and bits", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(
        fc
          .string({ minLength: 1 })
          .filter((name) => name !== "__metadata__" && name !== "__proto__" && !/^\d+$/.test(name)),
        {
          maxLength: 4,
        },
      ),
      fc.array(fc.float({ noNaN: true }), { maxLength: 9 }),
      (names, values) => {
        writeSafetensors(
          file,
          names.map((name) => tensor(name, [values.length, 1], values)),
          { made: "here" },
        );
        const { metadata, tensors } = readSafetensors(file);
        expect(metadata).toEqual({ made: "here" });
        expect([...tensors.keys()].sort()).toEqual([...names].sort());
        for (const { shape, read } of tensors.values()) {
          expect(shape).toEqual([values.length, 1]);
          expect(read()).toEqual(Float32Array.from(values));
        }
      },
    ),
    { numRuns: 50 },
  );
});

test("the layout is that of the format: length, header padded to 8 bytes, values", () => {
  const written = writeSafetensors(file, [tensor("w", [2], [1, -2])]);
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE());
  expect(length % 8).toBe(0);
  expect(JSON.parse(bytes.toString("utf8", 8, 8 + length))).toEqual({
    w: { dtype: "F32", shape: [2], data_offsets: [0, 8] },
  });
  expect([bytes.readFloatLE(8 + length), bytes.readFloatLE(12 + length)]).toEqual([1, -2]);
  expect(written.bytes).toBe(bytes.length);
  expect(writeSafetensors(file, [tensor("w", [2], [1, -2])]).digest).toBe(written.digest);
});

describe("a damaged file is refused with the reason", () => {
  const header = (json: string, data = 8) => {
    const bytes = Buffer.alloc(8 + json.length + data);
    bytes.writeBigUInt64LE(BigInt(json.length));
    bytes.write(json, 8);
    return bytes;
  };
  const entry = (change: object) =>
    JSON.stringify({ w: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...change } });
  const cases: Record<string, [Buffer, string]> = {
    "an empty file": [Buffer.alloc(0), "too few for a header"],
    "a header longer than the file": [header(entry({})).subarray(0, 20), "and the whole file has 20"],
    "a header that is no JSON": [header("{w"), "not a JSON object"],
    "another dtype": [header(entry({ dtype: "BF16" })), "tensor w: is not F32"],
    "a shape that does not match its bytes": [header(entry({ shape: [3] })), "tensor w of shape (3) has 8 bytes"],
    "values cut short": [header(entry({}), 4), "beyond the file's"],
    "bytes that belong to no tensor": [header(entry({}), 12), "its tensors have 8 bytes and it holds 12"],
  };
  test.each(Object.entries(cases))("%s", (_, [bytes, message]) => {
    writeFileSync(file, bytes);
    expect(() => readSafetensors(file)).toThrow(UserError);
    expect(() => readSafetensors(file)).toThrow(message);
  });
});
