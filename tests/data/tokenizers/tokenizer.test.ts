import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadTokenizer, makeTokenizer, type Tokenizer, tokenizerNames } from "../../../src/data/tokenizers/index.ts";
import { fixedTexts, randomText } from "./texts.ts";

const folder = mkdtempSync(path.join(tmpdir(), "tokenizers-"));
afterAll(() => rmSync(folder, { recursive: true }));

const documents = Array.from({ length: 100 }, (_, index) => randomText(3, index));

describe.each(tokenizerNames)("the %s tokenizer", (kind) => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await makeTokenizer(kind, { documents, ...(kind === "bpe" ? { vocabSize: 500 } : {}) });
  });

  test("decodes what it encoded", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
    );
    for (const text of [...fixedTexts, ...documents]) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });

  test("gives back any bytes, valid UTF-8 or not", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(Buffer.from(tokenizer.decodeBytes(tokenizer.encodeUtf8(bytes)))).toEqual(Buffer.from(bytes));
      }),
    );
  });

  test("makes lone surrogates U+FFFD", () => {
    expect(tokenizer.decode(tokenizer.encode("a\ud800b\udc00"))).toBe("a\ufffdb\ufffd");
  });

  test("never produces the end of text, which is the last id", () => {
    expect(tokenizer.endOfText).toBe(tokenizer.vocabSize - 1);
    for (const text of fixedTexts) expect(tokenizer.encode(text)).not.toContain(tokenizer.endOfText);
    expect(tokenizer.decode([tokenizer.endOfText])).toBe("<|endoftext|>");
  });

  test("gives arrays that later calls leave alone", () => {
    const first = tokenizer.encode("Once upon a time");
    const copy = first.slice();
    tokenizer.encode("there was something else entirely");
    expect(first).toEqual(copy);
  });

  test("is the same after it was saved and loaded", () => {
    const place = path.join(folder, kind);
    tokenizer.save(place);
    const loaded = loadTokenizer(place);
    const facts = ({ kind, vocabSize, endOfText, digest }: Tokenizer) => ({ kind, vocabSize, endOfText, digest });
    expect(facts(loaded)).toEqual(facts(tokenizer));
    for (const text of documents) expect(loaded.encode(text)).toEqual(tokenizer.encode(text));
    expect(JSON.parse(readFileSync(path.join(place, "stlm-tokenizer.json"), "utf8"))).toEqual(facts(tokenizer));
  });

  test("refuses ids that it does not have", () => {
    expect(() => tokenizer.decode([tokenizer.vocabSize])).toThrow(RangeError);
    expect(() => tokenizer.decode([0, -1])).toThrow(/Token id -1 at position 1/);
    expect(() => tokenizer.decode([0.5])).toThrow(RangeError);
  });
});

test("the digests are part of published results and stay what they are", async () => {
  expect((await makeTokenizer("gpt2", { documents: [] })).digest).toBe(
    "sha256:a24546d484d83c35bd18e6807f657a722c30c21401c05c9d8f4c7893e1738e3f",
  );
  expect((await makeTokenizer("bytes", { documents: [] })).digest).toBe(
    "sha256:0cb334956542409a082b6544bf865c0a4d77f2ba5e3ab7b593b732b7c7d72c58",
  );
});

test("bytes are their own ids", async () => {
  const tokenizer = await makeTokenizer("bytes", { documents: [] });
  expect(tokenizer.encode("aé")).toEqual(Uint16Array.from([0x61, 0xc3, 0xa9]));
  expect(tokenizer.vocabSize).toBe(257);
});

const userError = (code: string, hint: RegExp) =>
  expect.objectContaining({ name: "UserError", code, hint: expect.stringMatching(hint) });

describe("makeTokenizer", () => {
  test("lists the tokenizers when there is none of that name", async () => {
    await expect(makeTokenizer("gtp2", { documents })).rejects.toEqual(
      userError("UNKNOWN_TOKENIZER", /gpt2, bpe, bytes.*Did you mean "gpt2"/),
    );
  });

  test("says which size the fixed tokenizers have", async () => {
    await expect(makeTokenizer("gpt2", { documents, vocabSize: 4096 })).rejects.toEqual(
      userError("BAD_VOCAB_SIZE", /50257/),
    );
    expect((await makeTokenizer("bytes", { documents, vocabSize: 257 })).vocabSize).toBe(257);
  });

  test("refuses a bpe vocabulary without a size or below 257", async () => {
    await expect(makeTokenizer("bpe", { documents })).rejects.toEqual(userError("BAD_VOCAB_SIZE", /4096/));
    for (const vocabSize of [256, 300.5, Number.NaN]) {
      await expect(makeTokenizer("bpe", { documents, vocabSize })).rejects.toEqual(
        userError("BAD_VOCAB_SIZE", /at least 257/),
      );
    }
    expect((await makeTokenizer("bpe", { documents, vocabSize: 257 })).encode("ab").length).toBe(2);
  });

  test("says how many merges a text has when they are too few", async () => {
    await expect(makeTokenizer("bpe", { documents: ["abc"], vocabSize: 1000 })).rejects.toMatchObject({
      code: "TEXT_TOO_SMALL",
      message: "The text is too small for a vocabulary of 1,000: it has 2 merges.",
      hint: "Set vocabSize to at most 259, or give more text.",
    });
    expect((await makeTokenizer("bpe", { documents: ["abc"], vocabSize: 259 })).encode("abc").length).toBe(1);
  });

  test("reads documents one at a time from an async source, reports progress and stops when aborted", async () => {
    async function* source() {
      for (const document of documents) yield document;
    }
    const units: string[] = [];
    const onProgress = ({ unit, done, total }: { unit: string; done: number; total: number | undefined }) =>
      units.push(`${unit} ${done}/${total}`);
    const tokenizer = await makeTokenizer("bpe", { documents: source(), vocabSize: 300, onProgress });
    expect(tokenizer.digest).toBe((await makeTokenizer("bpe", { documents, vocabSize: 300 })).digest);
    expect(units.at(-1)).toBe("merges 43/43");
    const stop = new AbortController();
    const endless = (function* () {
      for (let read = 0; ; read++) {
        if (read === 10) stop.abort(new Error("stopped by the user"));
        yield "more text";
      }
    })();
    await expect(makeTokenizer("bpe", { documents: endless, vocabSize: 300, signal: stop.signal })).rejects.toThrow(
      "stopped by the user",
    );
  });
});

describe("loadTokenizer", () => {
  const damage = async (
    name: string,
    change: (root: { model: { merges: string[]; vocab: Record<string, number> } }) => void,
  ) => {
    const place = path.join(folder, name);
    (await makeTokenizer("bpe", { documents, vocabSize: 300 })).save(place);
    const file = path.join(place, "tokenizer.json");
    const root = JSON.parse(readFileSync(file, "utf8"));
    change(root);
    writeFileSync(file, JSON.stringify(root));
    return place;
  };

  test("refuses a vocabulary that lost an entry, has a foreign one or a merge of parts that do not exist", async () => {
    const unreadable = expect.objectContaining({ name: "UserError", code: "TOKENIZER_UNREADABLE" });
    const lost = await damage("lost", ({ model }) => void delete model.vocab["a"]);
    expect(() => loadTokenizer(lost)).toThrow(unreadable);
    const short = await damage("short", ({ model }) => void model.merges.pop());
    expect(() => loadTokenizer(short)).toThrow(unreadable);
    const wrong = await damage("wrong", ({ model }) => void model.merges.splice(5, 1, "q q"));
    expect(() => loadTokenizer(wrong)).toThrow(unreadable);
    const splits = await damage("splits", (root) => void Object.assign(root, { pre_tokenizer: null }));
    expect(() => loadTokenizer(splits)).toThrow(unreadable);
  });

  test("refuses a sound vocabulary that is not the one of the digest", async () => {
    const other = await damage("other", ({ model }) => {
      [model.vocab["a"], model.vocab["b"]] = [model.vocab["b"], model.vocab["a"]];
    });
    expect(() => loadTokenizer(other)).toThrow(
      expect.objectContaining({ name: "UserError", code: "TOKENIZER_CORRUPT" }),
    );
  });

  test("reads merges written as pairs, as newer versions of Hugging Face's tokenizers do", async () => {
    const pairs = await damage("pairs", ({ model }) => {
      Object.assign(model, { merges: model.merges.map((merge) => merge.split(" ")) });
    });
    expect(loadTokenizer(pairs).vocabSize).toBe(300);
  });

  test("says which file is missing, not JSON or of an unknown kind", async () => {
    const place = await damage("summary", () => undefined);
    expect(() => loadTokenizer(path.join(folder, "nowhere"))).toThrow(
      expect.objectContaining({ code: "TOKENIZER_UNREADABLE" }),
    );
    for (const text of ["{", "null", '{"kind":"wordpiece"}']) {
      writeFileSync(path.join(place, "stlm-tokenizer.json"), text);
      expect(() => loadTokenizer(place)).toThrow(
        expect.objectContaining({
          code: "TOKENIZER_UNREADABLE",
          where: expect.objectContaining({ file: path.join(place, "stlm-tokenizer.json") }),
        }),
      );
    }
  });
});
