// A `tokens` and a `tokenizer` artifact of given texts, a byte a token, so that a test chooses split and source itself.

import path from "node:path";
import type { SplitName } from "../../src/data/split.ts";
import { bytes } from "../../src/data/tokenizers/bytes.ts";
import { TokensWriter } from "../../src/data/tokens.ts";
import { digestBytes, hexOf } from "../../src/util/digest.ts";
import { temporaryFolder } from "../rigs/stage-rig.ts";

export interface RigDocument {
  readonly text: string;
  /** Default train. */
  readonly split?: SplitName;
  readonly sourceName?: string;
}

export function makeTokens(documents: readonly RigDocument[]): { tokens: string; tokenizer: string } {
  const [tokens, tokenizer] = [temporaryFolder("tokens"), temporaryFolder("tokenizer")];
  const byteLevel = bytes.fixed();
  byteLevel.save(tokenizer);
  const { vocabSize, endOfText, digest } = byteLevel;
  const layout = { dtype: "uint16", vocabSize, endOfText, tokenizer: digest } as const;
  const writer = new TokensWriter((name) => path.join(tokens, name), layout);
  for (const { text, split = "train", sourceName } of documents) {
    const hash = Buffer.from(hexOf(digestBytes(text)), "hex");
    const document = { text, utf8: Buffer.from(text), hash, split, ...(sourceName !== undefined && { sourceName }) };
    writer.write(document, byteLevel.encode(text));
  }
  writer.finish({ duplicates: 0, empty: 0, replaced: 0 });
  return { tokens, tokenizer };
}
