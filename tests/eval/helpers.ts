// Models, tokenizers and rows that the tests of evaluation share.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { get_encoding } from "tiktoken";
import type { Item } from "../../src/eval/item.ts";
import type { Encoder } from "../../src/eval/requests.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { assetPath } from "../../src/util/package-root.ts";

/** UTF-8 bytes are the ids; 256 ends a text. */
export const bytesEncoder: Encoder = { endOfText: 256, encode: (text) => new TextEncoder().encode(text) };

const gpt2 = get_encoding("gpt2");
/** OpenAI's own encoder, independent of ours. */
export const gpt2Encoder: Encoder = { endOfText: 50_256, encode: (text) => gpt2.encode_ordinary(text) };

/** What a text's ids spell under `encoder`, the end of text as `<eot>`. */
export function spell(encoder: Encoder, ids: Iterable<number>): string {
  const bytes = [...ids].flatMap((id) =>
    id === encoder.endOfText
      ? [...Buffer.from("<eot>")]
      : encoder === gpt2Encoder
        ? [...gpt2.decode_single_token_bytes(id)]
        : [id],
  );
  return Buffer.from(bytes).toString();
}

/** A model whose log-probabilities are a hash of the context and the next id: exact, cheap, and blind to batches. */
export function hashModel(vocabSize: number, contextWindow: number): LanguageModel & { batches: number[] } {
  const batches: number[] = [];
  return {
    vocabSize,
    contextWindow,
    batches,
    logProbs(windows) {
      batches.push(windows.length);
      return windows.map(({ ids, scored }) => {
        if (ids.length > contextWindow + 1) throw new RangeError(`${ids.length} ids for a window of ${contextWindow}`);
        const out = new Float32Array(ids.length - 1);
        let hash = 0x811c9dc5;
        for (let t = 0; t < out.length; t++) {
          hash = Math.imul(hash ^ ids[t]!, 0x01000193);
          const mixed = Math.imul(hash ^ (ids[t + 1]! * 0x9e3779b1), 0x85ebca6b) >>> 0;
          out[t] = -0.01 - (mixed / 2 ** 32) * 8;
        }
        return out.slice(out.length - scored);
      });
    },
  };
}

/** A model to which everything is certain: all strings score the same, so every item is a tie. */
export function constantModel(vocabSize: number, logProb = 0): LanguageModel {
  return {
    vocabSize,
    contextWindow: 4096,
    logProbs: (windows) => windows.map(({ scored }) => new Float32Array(scored).fill(logProb)),
  };
}

/** The rows of a bundled benchmark, `blimp-6700`. */
export function bundledRows(name: string): Record<string, unknown>[] {
  const text = gunzipSync(readFileSync(assetPath("data", `eval-${name}.jsonl.gz`))).toString();
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** An item out of nothing but its choices. */
export function itemOf(choices: Item["choices"], about: Partial<Item> = {}): Item {
  return { id: "0123456789abcdef", task: "test", subtask: "", cluster: "c", gold: 0, choices, ...about };
}
