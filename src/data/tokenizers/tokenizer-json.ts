// The `tokenizer.json` of Hugging Face's `tokenizers`, for the one shape that this lab has: byte-level BPE with GPT-2's
// split and the end of text as the last id. What is written here loads there and gives the same ids
// (but for the spelling of the end of text inside a text, which is its id there and text here); of what was
// written there, files of this shape can be read.

import { prettyCanonicalJson } from "../../util/canonical-json.ts";
import { UserError } from "../../util/errors.ts";
import { SYMBOL_OF_BYTE } from "./byte-symbols.ts";
import { END_OF_TEXT, NUM_BYTES, Vocabulary } from "./vocabulary.ts";

/** The text of the file: canonical JSON, two spaces of indent. */
export function writeTokenizerJson(vocabulary: Vocabulary): string {
  const symbols = vocabulary.symbols();
  const idOfSymbol = symbols.map((symbol, id) => [symbol, id] as const);
  // In order already, which spares canonicalJson the work: all symbols lie below U+0144, where UTF-16 and UTF-8 agree.
  idOfSymbol.sort(([a], [b]) => (a < b ? -1 : 1));
  const merges: string[] = [];
  for (let i = 0; i < vocabulary.merges.length; i += 2) {
    merges.push(`${symbols[vocabulary.merges[i]]} ${symbols[vocabulary.merges[i + 1]]}`);
  }
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return prettyCanonicalJson({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      {
        id: vocabulary.endOfText,
        content: END_OF_TEXT,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(idOfSymbol),
      merges,
    },
  });
}

/** Reads the text of the file. Throws a UserError naming `file` and the member that is not of this lab's shape. */
export function readTokenizerJson(text: string, file: string): Vocabulary {
  const reject = (member: string, problem: string): UserError =>
    new UserError(`The tokenizer file ${problem}.`, {
      code: "TOKENIZER_UNREADABLE",
      where: { file, path: member },
      hint: "Files written by this program's tokenize stage can be read: run that stage again.",
    });

  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (cause) {
    throw new UserError("The tokenizer file is not JSON.", { code: "TOKENIZER_UNREADABLE", where: { file }, cause });
  }
  const preTokenizer = memberOf(root, "pre_tokenizer");
  const isGpt2Split =
    memberOf(preTokenizer, "type") === "ByteLevel" &&
    memberOf(preTokenizer, "add_prefix_space") === false &&
    memberOf(preTokenizer, "use_regex") !== false;
  if (!isGpt2Split) throw reject("pre_tokenizer", "does not split text as GPT-2 does");
  if (memberOf(root, "normalizer") !== null) throw reject("normalizer", "changes text before it is split");
  const model = memberOf(root, "model");
  if (memberOf(model, "type") !== "BPE") throw reject("model.type", "holds no BPE model");

  const symbols = symbolsById(memberOf(model, "vocab"));
  if (!symbols) throw reject("model.vocab", "lacks a vocabulary with one entry for each id from 0 on");
  const merges = memberOf(model, "merges");
  if (!Array.isArray(merges)) throw reject("model.merges", "lacks its merges");
  if (symbols.length !== NUM_BYTES + merges.length + 1 || symbols.at(-1) !== END_OF_TEXT) {
    throw reject("model.vocab", `is not 256 bytes, ${merges.length} merges and ${END_OF_TEXT} in this order`);
  }
  const byteOfId = Uint8Array.from(symbols.slice(0, NUM_BYTES), (symbol) => SYMBOL_OF_BYTE.indexOf(symbol));
  if (symbols.slice(0, NUM_BYTES).some((symbol) => !SYMBOL_OF_BYTE.includes(symbol))) {
    throw reject("model.vocab", "does not begin with the 256 byte symbols");
  }
  return new Vocabulary(
    byteOfId,
    readMerges(symbols, merges, (index) =>
      reject(`model.merges.${index}`, `has a merge that does not make entry ${NUM_BYTES + index} of earlier entries`),
    ),
  );
}

/**
 * Ids of merges, two a merge, each spelled `left right` or `[left, right]`; merge i makes `symbols[256 + i]`.
 * Throws what `reject` gives for the first that does not.
 */
export function readMerges(
  symbols: readonly string[],
  merges: readonly unknown[],
  reject: (index: number) => Error,
): Int32Array {
  const idOfSymbol = new Map(symbols.slice(0, NUM_BYTES).map((symbol, id) => [symbol, id]));
  const ids = new Int32Array(2 * merges.length);
  merges.forEach((merge, index) => {
    const parts: unknown = typeof merge === "string" ? merge.split(" ") : merge;
    if (!Array.isArray(parts) || parts.length !== 2) throw reject(index);
    const left = idOfSymbol.get(parts[0]);
    const right = idOfSymbol.get(parts[1]);
    const merged = symbols[NUM_BYTES + index];
    const isSound = parts[0] + parts[1] === merged && !idOfSymbol.has(merged);
    if (left === undefined || right === undefined || !isSound) throw reject(index);
    ids[2 * index] = left;
    ids[2 * index + 1] = right;
    idOfSymbol.set(merged, NUM_BYTES + index);
  });
  return ids;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
}

/** The entries of a `vocab` in the order of their ids; undefined unless the ids are 0, 1, 2 and so on. */
function symbolsById(vocab: unknown): string[] | undefined {
  if (typeof vocab !== "object" || vocab === null) return undefined;
  const entries = Object.entries(vocab);
  const symbols = new Array<string>(entries.length);
  for (const [symbol, id] of entries) {
    if (!Number.isInteger(id) || id < 0 || id >= entries.length || symbols[id] !== undefined) return undefined;
    symbols[id] = symbol;
  }
  return symbols;
}
