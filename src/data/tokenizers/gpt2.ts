// GPT-2's tokenizer (Radford et al. 2019): 50,257 entries, the published merges. Ids equal those of OpenAI's `tiktoken`
// with `encode_ordinary`. The entries need no second file: byte symbols, then what each merge makes.

import { readFileSync } from "node:fs";
import { digestBytes } from "../../util/digest.ts";
import { systemErrorCode, UserError } from "../../util/errors.ts";
import { assetPath } from "../../util/package-root.ts";
import { GPT2_BYTE_ORDER, SYMBOL_OF_BYTE } from "./byte-symbols.ts";
import { ByteLevelTokenizer } from "./tokenizer.ts";
import { readMerges } from "./tokenizer-json.ts";
import { Vocabulary } from "./vocabulary.ts";

const MERGES_DIGEST = "sha256:1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5";

/** Reads `vocab.bpe`, ours by default. Throws a UserError unless it is the published file, byte for byte. */
export function readGpt2(file = assetPath("gpt2", "vocab.bpe")): ByteLevelTokenizer {
  const hint = "It ships with stlm-pipeline: install the package again.";
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    if (systemErrorCode(cause) === undefined) throw cause;
    throw new UserError("GPT-2's merges cannot be read.", { code: "ASSET_UNREADABLE", where: { file }, hint, cause });
  }
  const digest = digestBytes(bytes);
  if (digest !== MERGES_DIGEST) {
    throw new UserError(`GPT-2's merges are not the published ones: the file's digest is ${digest}.`, {
      code: "ASSET_CORRUPT",
      where: { file },
      hint,
    });
  }
  const merges = bytes.toString("utf8").trimEnd().split("\n").slice(1); // the first line is a version
  const symbols = Array.from(GPT2_BYTE_ORDER, (byte) => SYMBOL_OF_BYTE[byte]);
  for (const merge of merges) symbols.push(merge.replace(" ", ""));
  const reject = (index: number) => new Error(`Merge ${index} of the published file is not sound`);
  return new ByteLevelTokenizer("gpt2", new Vocabulary(GPT2_BYTE_ORDER, readMerges(symbols, merges, reject)));
}

export const gpt2 = { fixed: () => readGpt2() };
