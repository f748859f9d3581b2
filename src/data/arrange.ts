// From a `tokens` artifact to another one: without near duplicates, and with the train split in order of difficulty.
// The shard stage does this in its work folder before it writes shards, which then know nothing of it. Ids are read by
// position; in memory a document costs 62 bytes, and with near duplicates some 320 more at the default parameters.

import { closeSync, openSync, readSync } from "node:fs";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { UserError } from "../util/errors.ts";
import type { Arrangement, NearDuplicateRule, Order } from "./arrangement.ts";
import { difficulty, Frequencies } from "./difficulty.ts";
import { jaccardSimilarity, MinHasher, shingleSet } from "./minhash.ts";
import { NearDuplicates } from "./near-duplicates.ts";
import { type SplitName, splitNames } from "./split.ts";
import {
  bytesPerToken,
  type DocumentLine,
  readDocumentLines,
  readTokensManifest,
  type TokensManifest,
  TokensWriter,
} from "./tokens.ts";
import { WordHashes } from "./words.ts";

type Decode = (ids: Uint16Array | Uint32Array) => string;

export interface ArrangeOptions {
  /** The `tokens` artifact's folder. */
  readonly tokens: string;
  /** Absolute path of a file of the new artifact. */
  readonly pathOf: (name: string) => string;
  readonly nearDuplicates: NearDuplicateRule | undefined;
  readonly order: Order | undefined;
  /** The text of ids; needed for near duplicates, which are told by their words. */
  readonly decode: Decode | undefined;
  readonly signal: AbortSignal;
  /** `note` names the pass. */
  readonly onProgress: (done: number, total: number, note: string) => void;
}

/** Documents are offered in this order, and the first of two near ones stays: held-out text decides what is trained on. */
const KEPT_FIRST: readonly SplitName[] = ["test", "validation", "train"];

export async function arrangeTokens(options: ArrangeOptions): Promise<TokensManifest> {
  const { tokens, pathOf, nearDuplicates, order, signal } = options;
  const layout = readTokensManifest(tokens);
  const documents = await DocumentTable.read(tokens, layout, signal);
  try {
    const found = nearDuplicates && (await removeNearDuplicates(documents, nearDuplicates, options));
    const arrangement: Arrangement = {
      ...(order && { order }),
      ...(nearDuplicates && { nearDuplicates: { ...nearDuplicates, ...found! } }),
    };
    const { dtype, vocabSize, endOfText, tokenizer, duplicates, empty, replaced } = layout;
    const writer = new TokensWriter(pathOf, { dtype, vocabSize, endOfText, tokenizer });
    let done = 0;
    for (const { name, from, to } of sourceRanges(layout)) {
      const trained = documents.kept("train", from, to);
      const held = splitNames.filter((split) => split !== "train").flatMap((split) => documents.kept(split, from, to));
      const sorted = order ? await inOrder(trained, documents, order, options) : trained;
      for (const document of [...held, ...sorted]) {
        await pause(done, signal);
        writer.append(documents.line(document), documents.ids(document), name);
        options.onProgress(++done, documents.count, "writing");
      }
    }
    return writer.finish({ duplicates, empty, replaced }, arrangement);
  } finally {
    documents.close();
  }
}

/** Documents from..to-1 are of the source `name`; a set that is no mix has one range without a name. */
function sourceRanges({ sources, documents }: TokensManifest): { name?: string; from: number; to: number }[] {
  if (sources === undefined) return [{ from: 0, to: documents }];
  let from = 0;
  return sources.map(({ name, splits }) => {
    const to = from + splitNames.reduce((sum, split) => sum + splits[split].documents, 0);
    const range = { name, from, to };
    from = to;
    return range;
  });
}

/** Lets signals in, now and then: everything here reads synchronously. */
async function pause(done: number, signal: AbortSignal): Promise<void> {
  if (done % 256 === 0) await setImmediate();
  signal.throwIfAborted();
}

async function removeNearDuplicates(
  documents: DocumentTable,
  rule: NearDuplicateRule,
  { decode, signal, onProgress }: ArrangeOptions,
): Promise<Omit<NonNullable<Arrangement["nearDuplicates"]>, keyof NearDuplicateRule>> {
  if (decode === undefined) {
    throw new UserError("Near duplicates are told by their words, and the shard stage is given no tokenizer.", {
      code: "NEEDS_TOKENIZER",
      where: { path: "inputs.tokenizer" },
      hint: "Give it the input `tokenizer`, as in { tokens: tokens, tokenizer: tokens }, or leave out nearDuplicates.",
    });
  }
  const length = rule.bands * rule.rows;
  const signatures = new Uint8Array(documents.count * length);
  const hasher = new MinHasher(length, rule.shingleWords);
  const hasWords = new Uint8Array(documents.count);
  for (let document = 0; document < documents.count; document++) {
    await pause(document, signal);
    if (hasher.sign(decode(documents.ids(document)), signatures, document * length)) hasWords[document] = 1;
    onProgress(document + 1, documents.count, "signatures of documents");
  }
  const index = new NearDuplicates(rule, signatures, exactSimilarity(documents, decode, rule.shingleWords));
  const removed = { train: 0, validation: 0, test: 0 };
  let acrossSplits = 0;
  for (const split of KEPT_FIRST) {
    for (const document of documents.kept(split)) {
      await pause(document, signal);
      const near = hasWords[document] === 1 ? index.add(document) : -1;
      if (near < 0) continue;
      documents.drop(document);
      removed[split]++;
      if (documents.split(near) !== split && split === "train") acrossSplits++;
    }
  }
  return { removed, acrossSplits };
}

/** Reads and compares the texts of two documents; of the first, which meets one after the other, the shingles are kept. */
function exactSimilarity(documents: DocumentTable, decode: Decode, shingleWords: number) {
  const words = new WordHashes();
  const shinglesOf = (document: number) => shingleSet(words, decode(documents.ids(document)), shingleWords);
  let held = { document: -1, shingles: new Set<number>() };
  return (document: number, other: number): number => {
    if (held.document !== document) held = { document, shingles: shinglesOf(document) };
    return jaccardSimilarity(held.shingles, shinglesOf(other));
  };
}

/** `chosen` from the easiest on; ties stay as they are. */
async function inOrder(
  chosen: readonly number[],
  documents: DocumentTable,
  { by, descending }: Order,
  { signal, onProgress }: ArrangeOptions,
): Promise<number[]> {
  const frequencies = by === "rarity" ? documents.frequencies() : new Frequencies(0);
  const sign = descending ? -1 : 1;
  const scores = new Float64Array(chosen.length);
  for (const [place, document] of chosen.entries()) {
    await pause(place, signal);
    const score = by === "score" ? documents.score(document) : difficulty(by, documents.ids(document), frequencies);
    scores[place] = sign * score;
    onProgress(place + 1, chosen.length, `scores by ${by}`);
  }
  const places = Uint32Array.from(chosen.keys()).sort((a, b) => scores[a]! - scores[b]! || a - b);
  return Array.from(places, (place) => chosen[place]!);
}

/** All documents of a `tokens` artifact: what documents.jsonl says, in columns, and the ids by position. */
class DocumentTable {
  readonly count: number;
  private readonly file: number;
  private readonly starts: Float64Array; // in ids
  private readonly bytes: Uint32Array;
  private readonly characters: Uint32Array;
  private readonly splits: Uint8Array;
  private readonly dropped: Uint8Array;
  private readonly digests: Uint8Array;
  private readonly scores: Float64Array; // NaN where there is none
  private trainFrequencies: Frequencies | undefined;

  private constructor(
    private readonly folder: string,
    private readonly layout: TokensManifest,
  ) {
    this.count = layout.documents;
    this.starts = new Float64Array(this.count + 1);
    this.bytes = new Uint32Array(this.count);
    this.characters = new Uint32Array(this.count);
    this.splits = new Uint8Array(this.count);
    this.dropped = new Uint8Array(this.count);
    this.digests = new Uint8Array(this.count * 32);
    this.scores = new Float64Array(this.count).fill(Number.NaN);
    this.file = openSync(path.join(folder, "tokens.bin"), "r");
  }

  static async read(folder: string, layout: TokensManifest, signal: AbortSignal): Promise<DocumentTable> {
    const table = new DocumentTable(folder, layout);
    let at = 0;
    for await (const line of readDocumentLines(folder, signal)) table.set(at++, line);
    if (at !== table.count) throw table.incomplete();
    return table;
  }

  split(document: number): SplitName {
    return splitNames[this.splits[document]!]!;
  }

  drop(document: number): void {
    this.dropped[document] = 1;
  }

  /** Documents from..to-1 of a split that were not dropped, in the order of the corpus. */
  kept(split: SplitName, from = 0, to = this.count): number[] {
    const wanted = splitNames.indexOf(split);
    const found: number[] = [];
    for (let document = from; document < to; document++) {
      if (this.splits[document] === wanted && this.dropped[document] === 0) found.push(document);
    }
    return found;
  }

  line(document: number): DocumentLine {
    const digest = Buffer.from(this.digests.buffer, document * 32, 32).toString("hex");
    return {
      digest: `sha256:${digest}`,
      tokens: this.starts[document + 1]! - this.starts[document]!,
      bytes: this.bytes[document]!,
      characters: this.characters[document]!,
      split: this.split(document),
      ...(!Number.isNaN(this.scores[document]!) && { score: this.scores[document]! }),
    };
  }

  /** The number in the score column. Throws a UserError for a document of a data set that names none. */
  score(document: number): number {
    const score = this.scores[document]!;
    if (!Number.isNaN(score)) return score;
    throw new UserError("The shards are to be sorted by a score, and a document has none.", {
      code: "NO_SCORE",
      where: { path: "params.order.by" },
      hint: "Name the column in every part of the data set, as in { path: texts.jsonl, score: grade }, or sort by length, entropy or rarity.",
    });
  }

  /** A fresh array. */
  ids(document: number): Uint16Array | Uint32Array {
    const tokenBytes = bytesPerToken(this.layout.dtype);
    const start = this.starts[document]!;
    const bytes = new Uint8Array((this.starts[document + 1]! - start) * tokenBytes);
    for (let done = 0; done < bytes.length; ) {
      const count = readSync(this.file, bytes, done, bytes.length - done, start * tokenBytes + done);
      if (count === 0) throw this.incomplete();
      done += count;
    }
    return tokenBytes === 2 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
  }

  /** Of all documents that are trained on, whatever their source. */
  frequencies(): Frequencies {
    if (this.trainFrequencies) return this.trainFrequencies;
    this.trainFrequencies = new Frequencies(this.layout.vocabSize);
    for (const document of this.kept("train")) this.trainFrequencies.add(this.ids(document));
    return this.trainFrequencies;
  }

  close(): void {
    closeSync(this.file);
  }

  private set(document: number, line: DocumentLine): void {
    const { digest, tokens, bytes, characters, split, score = Number.NaN } = line;
    if (document >= this.count) throw this.incomplete();
    this.starts[document + 1] = this.starts[document]! + tokens;
    this.bytes[document] = bytes;
    this.characters[document] = characters;
    this.splits[document] = splitNames.indexOf(split);
    this.scores[document] = score;
    this.digests.set(Buffer.from(digest.slice("sha256:".length), "hex"), document * 32);
  }

  private incomplete(): UserError {
    return new UserError(`${this.folder} does not hold the documents that tokens.json counts.`, {
      code: "BAD_TOKENS",
      hint: "Run the tokenize stage again.",
      exitCode: 1,
    });
  }
}
