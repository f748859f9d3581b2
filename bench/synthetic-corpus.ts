// A corpus of any size by counter, written to disk document by document: words of a fixed lexicon under Zipf's law,
// numbers and names never seen before, some accents and markup. The same size gives the same bytes everywhere.

import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";
import { CounterRandom } from "../src/util/philox.ts";

const SEED = 20261123;
const LEXICON = 1 << 15;
/** Places that a word is drawn from: word number n stands at about 1/n of them. */
const PLACES = 1 << 18;
const MAX_WORDS = 1200;
const MAX_DOCUMENT_BYTES = 1 << 16;
const CHUNK_BYTES = 1 << 22;
const SYLLABLES =
  "ba be bi bo da de di do fa fe ga ge ka ke la le li lo ma me mi na ne ni no pa pe ra re ri ro sa se si so ta te ti to tra ble ing er ion and th st é ü ß";
const MARKS = byteStrings([", ", ". ", "; ", "\\n\\n", " — ", "'s ", "! ", " <i>"]);

export interface SyntheticCorpus {
  readonly documents: number;
  /** Of the JSON lines file. */
  readonly bytes: number;
}

/** Writes a `dataset` folder with one JSON lines file of at least `bytes` bytes. */
export function writeSyntheticCorpus(folder: string, bytes: number): SyntheticCorpus {
  mkdirSync(path.join(folder, "files"), { recursive: true });
  const name = "synthetic.jsonl";
  const file = openSync(path.join(folder, "files", name), "w");
  const hash = createHash("sha256");
  const writer = new DocumentWriter(Buffer.alloc(CHUNK_BYTES));
  let size = 0;
  let documents = 0;
  while (size < bytes) {
    writer.length = 0;
    while (writer.length < CHUNK_BYTES - MAX_DOCUMENT_BYTES && size + writer.length < bytes) {
      writer.document(documents++);
    }
    const chunk = writer.chunk.subarray(0, writer.length);
    for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at);
    hash.update(chunk);
    size += chunk.length;
  }
  closeSync(file);
  const files = [{ path: name, format: "jsonl", bytes: size, sha256: `sha256:${hash.digest("hex")}` }];
  const text = { template: "{text}" };
  const about = { name: "synthetic", kind: "text", license: "CC0-1.0", homepage: "", text, files };
  writeFileSync(path.join(folder, "dataset.json"), JSON.stringify(about));
  return { documents, bytes: size };
}

class DocumentWriter {
  length = 0;
  private readonly words = drawnWords();

  constructor(readonly chunk: Buffer) {}

  /** Text number `index` as a JSON line. Philox seeds it; its words come from a cheaper generator (Marsaglia 2003). */
  document(index: number): void {
    const random = new CounterRandom(SEED, 1, index);
    let state = random.uint32(0) | 1;
    this.latin(`{"text":"Text ${index}: `);
    for (let words = 1 + (random.uint32(1) % MAX_WORDS); words > 0; words--) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      this.copy(this.words, state & (PLACES - 1));
      const kind = state >>> 24;
      if (kind < 24) this.copy(MARKS, kind & 7);
      else if (kind === 24) this.latin(` ${(state >>> 7) % 100_000} `);
      else if (kind === 25) this.latin(` Mc${Math.imul(state, 0x9e3779b1).toString(36)}ov `);
      else this.chunk[this.length++] = 0x20;
    }
    this.latin('"}\n');
  }

  private latin(text: string): void {
    this.length += this.chunk.write(text, this.length, "latin1");
  }

  private copy({ bytes, starts }: ByteStrings, index: number): void {
    const end = starts[index + 1]!;
    for (let i = starts[index]!; i < end; i++) this.chunk[this.length++] = bytes[i]!;
  }
}

/** Strings one after the other: string `i` lies from `starts[i]` to `starts[i + 1]`. */
interface ByteStrings {
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
}

function byteStrings(strings: readonly string[]): ByteStrings {
  const starts = new Int32Array(strings.length + 1);
  strings.forEach((text, i) => {
    starts[i + 1] = starts[i]! + Buffer.byteLength(text);
  });
  return { bytes: Uint8Array.from(Buffer.from(strings.join(""))), starts };
}

/** Words by place under the inverse of Zipf's cumulative share, ln(n) / ln(N). */
function drawnWords(): ByteStrings {
  const random = new CounterRandom(SEED, 0);
  const syllables = SYLLABLES.split(" ");
  let drawn = 0;
  const below = (bound: number) => random.integer(drawn++, bound);
  const word = () => Array.from({ length: 1 + below(4) }, () => syllables[below(syllables.length)]).join("");
  const lexicon = Array.from({ length: LEXICON }, word);
  const places = Array.from({ length: PLACES }, (_, i) => Math.floor(LEXICON ** ((i + 0.5) / PLACES)) - 1);
  return byteStrings(places.map((place) => lexicon[place]!));
}
