// A block of text on its way to a worker thread and back: parts of documents in shared memory, so that nothing is
// copied between threads. The reader fills it, the worker writes ids and counts, the writer takes them out.

import type { IdArray } from "./tokenizers/merge-encoder.ts";
import type { Tokenizer } from "./tokenizers/tokenizer.ts";
import { countCharacters, type DocumentLine } from "./tokens.ts";

/** Parts of documents are cut to this size where they can be. A block takes a worker some 20 ms. */
export const BLOCK_BYTES = 1 << 20;
const MAX_PARTS = 1 << 14;
/** Where it ends in the block, its ids, its characters. */
const WORDS_PER_PART = 3;

/** What goes to the worker; the typed arrays over it are made on each side. */
export interface BlockMemory {
  readonly bytes: SharedArrayBuffer;
  /** Room for one id a byte. */
  readonly ids: SharedArrayBuffer;
  /** int32, three words a part. */
  readonly parts: SharedArrayBuffer;
}

/** What is known of a document before it is encoded. */
export interface DocumentFacts extends Pick<DocumentLine, "digest" | "bytes" | "split" | "score"> {
  readonly sourceName: string | undefined;
}

export interface EncodedPart {
  /** A view that is valid until the block is used again. */
  readonly ids: IdArray;
  readonly characters: number;
  /** The document that this part ends, if it does. */
  readonly ends: DocumentFacts | undefined;
}

export class EncodeBlock {
  readonly memory: BlockMemory;
  private readonly bytes: Uint8Array;
  private readonly parts: Int32Array;
  private readonly ends: (DocumentFacts | undefined)[] = [];
  private filled = 0;

  /** `capacity` in bytes of text; ids have `idBytes` each. */
  constructor(
    readonly capacity: number,
    private readonly idBytes: 2 | 4,
  ) {
    this.memory = {
      bytes: new SharedArrayBuffer(capacity),
      ids: new SharedArrayBuffer(capacity * idBytes),
      parts: new SharedArrayBuffer(MAX_PARTS * WORDS_PER_PART * Int32Array.BYTES_PER_ELEMENT),
    };
    this.bytes = new Uint8Array(this.memory.bytes);
    this.parts = new Int32Array(this.memory.parts);
  }

  get numParts(): number {
    return this.ends.length;
  }

  hasRoomFor(bytes: number): boolean {
    return this.filled + bytes <= this.capacity && this.numParts < MAX_PARTS;
  }

  add(part: Uint8Array, ends: DocumentFacts | undefined): void {
    this.bytes.set(part, this.filled);
    this.filled += part.length;
    this.parts[this.numParts * WORDS_PER_PART] = this.filled;
    this.ends.push(ends);
  }

  /** The parts in their order, after the worker is done. */
  *encoded(): Generator<EncodedPart> {
    const ids = idArray(this.memory.ids, this.idBytes);
    let at = 0;
    for (const [part, ends] of this.ends.entries()) {
      const count = this.parts[part * WORDS_PER_PART + 1]!;
      yield { ids: ids.subarray(at, at + count), characters: this.parts[part * WORDS_PER_PART + 2]!, ends };
      at += count;
    }
  }

  clear(): void {
    this.filled = 0;
    this.ends.length = 0;
  }
}

/** The worker's side: the ids of all parts one after the other, and their counts. */
export function encodeBlock(tokenizer: Pick<Tokenizer, "encodeInto">, memory: BlockMemory, numParts: number): void {
  const bytes = new Uint8Array(memory.bytes);
  const ids = idArray(memory.ids, (memory.ids.byteLength / memory.bytes.byteLength) as 2 | 4);
  const parts = new Int32Array(memory.parts);
  let from = 0;
  let at = 0;
  for (let word = 0; word < numParts * WORDS_PER_PART; word += WORDS_PER_PART) {
    const to = parts[word]!;
    const end = tokenizer.encodeInto(bytes, from, to, ids, at);
    parts[word + 1] = end - at;
    parts[word + 2] = countCharacters(bytes.subarray(from, to));
    from = to;
    at = end;
  }
}

function idArray(buffer: SharedArrayBuffer, idBytes: 2 | 4): IdArray {
  return idBytes === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer);
}
