import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DigestSet } from "../../src/data/digest-set.ts";

const hashOf = (text: string) => createHash("sha256").update(text).digest();

test("it behaves as a Set does", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50)), (numbers) => {
      const [ours, theirs] = [new DigestSet(), new Set<number>()];
      for (const number of numbers) {
        expect(ours.add(hashOf(`${number}`))).toBe(!theirs.has(number));
        theirs.add(number);
      }
      expect(ours.size).toBe(theirs.size);
    }),
  );
});

test("it keeps every digest while it grows", () => {
  const set = new DigestSet();
  for (let index = 0; index < 20_000; index++) expect(set.add(hashOf(`${index}`))).toBe(true);
  for (let index = 0; index < 20_000; index++) expect(set.add(hashOf(`${index}`))).toBe(false);
  expect(set.size).toBe(20_000);
});

test("it tells digests apart by any of their first sixteen bytes but for one bit", () => {
  const set = new DigestSet();
  expect(set.add(Buffer.alloc(32))).toBe(true);
  for (let at = 0; at < 16; at++) {
    const digest = Buffer.alloc(32);
    digest[at] = 2;
    expect(set.add(digest), `byte ${at}`).toBe(true);
  }
});
