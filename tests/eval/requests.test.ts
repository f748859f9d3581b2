import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildRequest, encodePair } from "../../src/eval/requests.ts";
import { bytesEncoder, gpt2Encoder, spell } from "./helpers.ts";

const ids = (text: string) => [...Buffer.from(text)];
const EOT = bytesEncoder.endOfText;

function harness(context: string, continuation: string, contextWindow = 1024) {
  return buildRequest({ context, continuation }, { tokenizer: bytesEncoder, contextWindow, protocol: "harness" });
}

describe("the harness protocol", () => {
  test("passes context and continuation, and scores the continuation", () => {
    const request = harness("Answer:", " yes");
    expect(request).toEqual({
      windows: [{ ids: Int32Array.from(ids("Answer: yes")), scored: 4 }],
      tokens: 4,
      truncated: false,
    });
  });

  test("moves white space at the end of the context to the continuation", () => {
    const { context, continuation } = encodePair({ context: "A man \n ", continuation: " runs" }, bytesEncoder);
    expect(context).toEqual(ids("A man"));
    expect(continuation).toEqual(ids(" \n  runs"));
  });

  test("encodes both parts as one string: GPT-2's ids of a word keep its leading space", () => {
    const { context, continuation } = encodePair({ context: "Hello ", continuation: "world" }, gpt2Encoder);
    expect(context).toEqual([15_496]);
    expect(continuation).toEqual([995]); // " world"
  });

  test("gives the continuation what is left after as many ids as the context alone has, though a merge crosses", () => {
    // GPT-2: "un" + "believable" is encoded whole as other ids than "un" followed by those of "believable".
    const whole = [...(gpt2Encoder.encode("unbelievable") as Uint32Array)];
    const { context, continuation } = encodePair({ context: "unbel", continuation: "ievable" }, gpt2Encoder);
    expect([...context, ...continuation]).toEqual(whole);
    expect(context).toHaveLength(gpt2Encoder.encode("unbel").length);
  });

  test("puts an end of text before a continuation without context", () => {
    const { context, continuation } = encodePair({ context: "", continuation: " Who?" }, bytesEncoder);
    expect(context).toEqual([EOT]);
    expect(continuation).toEqual(ids(" Who?"));
    expect(encodePair({ context: "  ", continuation: "x" }, bytesEncoder).context).toEqual([EOT]);
  });

  test("does not put a second end of text before one that is there", () => {
    const tokenizer = { endOfText: 0, encode: () => [0, 5, 6] };
    expect(encodePair({ context: "", continuation: "x" }, tokenizer)).toEqual({ context: [0], continuation: [5, 6] });
  });

  test("drops context on the left beyond contextWindow + 1 ids, the last of which is never an input", () => {
    const request = harness("0123456789", " yes", 6);
    expect(request.windows).toEqual([{ ids: Int32Array.from(ids("789 yes")), scored: 4 }]);
    expect(request.truncated).toBe(true);
    expect(harness("01", " yes", 5).truncated).toBe(false); // 6 ids, of which 5 are inputs
  });

  test("scores a continuation longer than the window in consecutive windows, each token once", () => {
    const request = harness("ab", "cdefghi", 3);
    expect(request.tokens).toBe(7);
    expect(request.windows.map((w) => [Buffer.from(w.ids).toString(), w.scored])).toEqual([
      ["bcde", 3],
      ["efgh", 3],
      ["fghi", 1],
    ]);
  });

  test("refuses a choice without tokens", () => {
    expect(() => harness("a", "")).toThrow(expect.objectContaining({ code: "EMPTY_CONTINUATION" }));
  });

  test("never exceeds the window, and the scored ids in order are the end of the string", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string({ minLength: 1 }),
        fc.integer({ min: 1, max: 20 }),
        (context, rest, window) => {
          const request = harness(context, ` ${rest}`, window);
          const scored = request.windows.flatMap((w) => [...w.ids.slice(w.ids.length - w.scored)]);
          const whole = ids(context + ` ${rest}`);
          expect(scored).toEqual(whole.slice(whole.length - request.tokens));
          for (const w of request.windows) {
            expect(w.ids.length).toBeLessThanOrEqual(window + 1);
            expect(w.scored).toBeLessThan(w.ids.length);
          }
        },
      ),
    );
  });
});

describe("the stlm protocol", () => {
  const stlm = (context: string, continuation: string, contextWindow = 512) =>
    buildRequest({ context, continuation }, { tokenizer: bytesEncoder, contextWindow, protocol: "stlm" });

  test("scores the whole string after its first token, with the end of text", () => {
    expect(stlm("Why", " so")).toEqual({
      windows: [{ ids: Int32Array.from([...ids("Why so"), EOT]), scored: 6 }],
      tokens: 6,
      truncated: false,
    });
  });

  test("starts with the delimiter where the prefix is empty", () => {
    expect(spell(bytesEncoder, stlm("", " so").windows[0]!.ids)).toBe(" so<eot>");
  });

  test("keeps the last contextWindow ids, end of text included", () => {
    const request = stlm("0123456789", " so", 5);
    expect(spell(bytesEncoder, request.windows[0]!.ids)).toBe("9 so<eot>");
    expect(request).toMatchObject({ tokens: 4, truncated: true });
  });
});
