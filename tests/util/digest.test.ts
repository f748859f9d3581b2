import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { digestBytes, digestFile, digestOf, isDigest, shortDigest } from "../../src/util/digest.ts";

test("a digest is SHA-256 in OCI's spelling", () => {
  expect(digestBytes("abc")).toBe("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect(isDigest(digestBytes(""))).toBe(true);
  expect(isDigest("sha256:ABC")).toBe(false);
  expect(shortDigest(digestBytes("abc"))).toBe("ba7816bf8f01");
});

test("the type tag separates objects of equal content", () => {
  expect(digestOf("stlm.tree.v1", { a: 1 })).not.toBe(digestOf("stlm.action.v1", { a: 1 }));
});

test("a file larger than one read has the digest of its bytes", () => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), "stlm-digest-")), "big");
  const bytes = Buffer.alloc(3 * 1024 * 1024 + 17, 7);
  writeFileSync(file, bytes);
  expect(digestFile(file)).toEqual({ digest: digestBytes(bytes), bytes: bytes.length });
});
