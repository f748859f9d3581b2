import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { asSystemError, stageErrorOf } from "../../src/pipeline/system-error.ts";
import { UserError } from "../../src/util/errors.ts";

const ARTIFACTS = "/lab/artifacts";

function refused(code: string, about: Record<string, unknown> = {}): Error {
  return Object.assign(new Error(`${code}: refused`), { code, errno: -1, syscall: "write", ...about });
}

function codeOf(thrown: unknown): string {
  return stageErrorOf(thrown, ARTIFACTS, "STAGE_CRASHED").code;
}

describe("what the system refuses inside a stage", () => {
  test("is a full disk, by code, by cause and by a library's text", () => {
    assert.equal(codeOf(refused("ENOSPC")), "DISK_FULL");
    assert.equal(codeOf(refused("EDQUOT", { path: `${ARTIFACTS}/work/a` })), "DISK_FULL");
    const wrapped = new Error("could not save", { cause: new Error("again", { cause: refused("ENOSPC") }) });
    assert.equal(codeOf(wrapped), "DISK_FULL");
    assert.equal(codeOf(new Error('IO Error: Could not write "x": No space left on device')), "DISK_FULL");
  });

  test("names the disk of the copy, not of what was copied", () => {
    const copy = refused("ENOSPC", { path: "/texts/a.txt", dest: `${ARTIFACTS}/tmp/a.txt`, syscall: "copyfile" });
    assert.match(stageErrorOf(copy, ARTIFACTS, "BUG").message, /holds the artifacts/);
    assert.match(stageErrorOf(refused("ENOSPC", { path: "/var/a" }), ARTIFACTS, "BUG").message, /holds \/var\/a/);
  });

  test("is a permission of the store or of another file, never of a socket", () => {
    assert.equal(codeOf(refused("EACCES", { path: `${ARTIFACTS}/work/a` })), "STORE_NOT_WRITABLE");
    assert.equal(codeOf(refused("EROFS", { path: `${ARTIFACTS}/work/a` })), "STORE_NOT_WRITABLE");
    assert.equal(codeOf(refused("EACCES", { path: "/texts/a.txt" })), "NO_PERMISSION");
    const copy = refused("EACCES", { path: `${ARTIFACTS}/objects/a`, dest: "/lab/reports/a.md", syscall: "copyfile" });
    assert.match(stageErrorOf(copy, ARTIFACTS, "BUG").message, /\/lab\/reports\/a\.md/);
    assert.equal(codeOf(refused("EACCES", { syscall: "connect" })), "STAGE_CRASHED");
  });

  test("leaves the stage's own mistakes what they are", () => {
    for (const code of ["ENOENT", "EEXIST", "ENOTDIR", "EISDIR"]) {
      const error = refused(code, { path: `${ARTIFACTS}/work/a`, syscall: "open" });
      assert.equal(asSystemError(error, ARTIFACTS), error);
    }
    const told = new UserError("What the stage says.", { code: "TOLD" });
    assert.equal(asSystemError(told, ARTIFACTS), told);
    assert.deepEqual(stageErrorOf("text", ARTIFACTS, "BUG"), { message: "text", code: "BUG", expected: false });
  });
});
