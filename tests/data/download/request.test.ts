import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs, retryAfterMs } from "../../../src/data/download/backoff.ts";
import { requestHeaders } from "../../../src/data/download/request.ts";

const environment = { HF_TOKEN: "hf_secret" };

test("the token goes to the hub over https and to no other host", () => {
  const sent = (url: string) => requestHeaders(new URL(url), environment)["authorization"];
  expect(sent("https://huggingface.co/datasets/a/b/resolve/c/d")).toBe("Bearer hf_secret");
  for (const url of [
    "http://huggingface.co/x",
    "https://cdn-lfs.huggingface.co/x",
    "https://huggingface.co.example.org/x",
    "https://example.org/huggingface.co",
  ]) {
    expect(sent(url)).toBeUndefined();
  }
  expect(requestHeaders(new URL("https://huggingface.co/x"), {})["authorization"]).toBeUndefined();
});

test("waits grow, stay within their bounds and are the same for the same seed", () => {
  fc.assert(
    fc.property(fc.nat(40), fc.nat(), fc.integer({ min: 1, max: 5000 }), (failure, seed, baseMs) => {
      const backoff = { baseMs, maxMs: 60_000 };
      const bound = Math.min(60_000, baseMs * 2 ** failure);
      const wait = backoffMs(failure, backoff, seed);
      expect(wait).toBeGreaterThanOrEqual(Math.floor(bound / 2));
      expect(wait).toBeLessThanOrEqual(bound);
      expect(backoffMs(failure, backoff, seed)).toBe(wait);
    }),
  );
  expect(backoffMs(3, { baseMs: 1000, maxMs: 1e6 }, 1)).not.toBe(backoffMs(3, { baseMs: 1000, maxMs: 1e6 }, 2));
});

test("Retry-After is read as seconds or as a date", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  expect(retryAfterMs("3", now)).toBe(3000);
  expect(retryAfterMs("Thu, 01 Jan 2026 00:00:07 GMT", now)).toBe(7000);
  expect(retryAfterMs("Thu, 01 Jan 2020 00:00:00 GMT", now)).toBe(0);
  expect(retryAfterMs("soon", now)).toBeUndefined();
  expect(retryAfterMs(null, now)).toBeUndefined();
});

test("a token with characters that no header takes is refused without being printed", () => {
  const secret = "hf_sec\nret";
  const run = () => requestHeaders(new URL("https://huggingface.co/x"), { HF_TOKEN: secret });
  expect(run).toThrow("HF_TOKEN holds characters that no token has.");
  expect(run).not.toThrow(/sec/);
  expect(requestHeaders(new URL("https://huggingface.co/x"), { HF_TOKEN: "hf_secret\n" })["authorization"]).toBe(
    "Bearer hf_secret",
  );
});
