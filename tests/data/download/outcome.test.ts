import { afterAll, expect, test } from "vitest";
import { failureOfThrown, StallWatch } from "../../../src/data/download/outcome.ts";
import { request } from "../../../src/data/download/request.ts";
import { HttpRig, status } from "../../rigs/http-rig.ts";

const watch = new StallWatch(60_000);
afterAll(() => watch.stop());

/** What an error of this code means, in the wrapping of fetch(), at a host that never answered if not told otherwise. */
function failureOf(code: string, url = "https://never.example.org/a") {
  const error = new TypeError("fetch failed", { cause: Object.assign(new Error("no luck"), { code }) });
  const options = { signal: new AbortController().signal, stallMs: 60_000 };
  return failureOfThrown(error, url, watch, options);
}

test.each(["ENOTFOUND", "ECONNREFUSED"])("%s is final at a host that never answered", (code) => {
  expect(failureOf(code)).toEqual({ kind: "refused", reason: `no luck (${code})`, unreachable: "host" });
});

test("what is final elsewhere may pass at a host that answered before", async () => {
  await using rig = await HttpRig.start(status(404));
  expect(failureOf("ECONNREFUSED", rig.origin)).toMatchObject({ kind: "refused" });
  await request(rig.origin, {}, {}, new AbortController().signal);
  for (const code of ["ECONNREFUSED", "ENOTFOUND", "CERT_HAS_EXPIRED"]) {
    expect(failureOf(code, `${rig.origin}/b`)).toEqual({ kind: "retry", reason: `no luck (${code})` });
  }
});

test.each([
  ...["CERT_HAS_EXPIRED", "DEPTH_ZERO_SELF_SIGNED_CERT", "SELF_SIGNED_CERT_IN_CHAIN"],
  ...["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "ERR_TLS_CERT_ALTNAME_INVALID"],
])("%s is a certificate that no second attempt makes better", (code) => {
  expect(failureOf(code)).toMatchObject({ kind: "refused", unreachable: "certificate" });
});

test.each(["ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "UND_ERR_SOCKET"])("%s may pass", (code) => {
  expect(failureOf(code)).toEqual({ kind: "retry", reason: `no luck (${code})` });
});

test("a failed disk is no matter of the network, and is thrown", () => {
  expect(() => failureOf("ECONNRESET")).not.toThrow();
  const full = Object.assign(new Error("no space left"), { code: "ENOSPC" });
  const options = { signal: new AbortController().signal, stallMs: 60_000 };
  expect(() => failureOfThrown(full, "https://never.example.org/a", watch, options)).toThrow("no space left");
});
