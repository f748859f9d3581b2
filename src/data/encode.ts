// Documents to ids, in order, in this thread or in worker threads: the same ids either way, because parts of a document
// are cut where its pieces end and blocks are written in the order in which they were read.

import type { CorpusDocument } from "./corpus.ts";
import { BLOCK_BYTES, type DocumentFacts, EncodeBlock } from "./encode-block.ts";
import { EncodePool } from "./encode-pool.ts";
import { exactParts } from "./tokenizers/exact-cuts.ts";
import type { Tokenizer } from "./tokenizers/tokenizer.ts";
import { bytesPerToken, countCharacters, digestOfHash, dtypeFor, type TokensWriter } from "./tokens.ts";

export interface EncodeOptions {
  /** Threads beside this one; 0 encodes here. Memory grows by some 100 MB with each. */
  readonly workers: number;
  readonly signal: AbortSignal;
}

/** What of a TokensWriter is needed. */
export type IdsSink = Pick<TokensWriter, "writeIds" | "endDocument">;

/** Writes the ids of every document. Rejects with what the source, the writer or a worker throws; no worker outlives it. */
export async function encodeDocuments(
  tokenizer: Tokenizer,
  documents: AsyncIterable<CorpusDocument>,
  writer: IdsSink,
  { workers, signal }: EncodeOptions,
): Promise<void> {
  if (workers === 0) return encodeHere(tokenizer, documents, writer);
  const pool = await EncodePool.start(tokenizer, workers, signal);
  try {
    const queue = new BlockQueue(pool, writer, bytesPerToken(dtypeFor(tokenizer.vocabSize)));
    for await (const document of documents) {
      const { utf8 } = document;
      for (const { from, to } of exactParts(utf8, BLOCK_BYTES)) {
        const block = queue.filling?.hasRoomFor(to - from) ? queue.filling : await queue.nextBlock(to - from);
        block.add(utf8.subarray(from, to), to === utf8.length ? factsOf(document) : undefined);
      }
    }
    await queue.finish();
  } finally {
    await pool.close();
  }
}

async function encodeHere(
  tokenizer: Tokenizer,
  documents: AsyncIterable<CorpusDocument>,
  writer: IdsSink,
): Promise<void> {
  for await (const document of documents) {
    const { utf8 } = document;
    for (const { from, to } of exactParts(utf8, BLOCK_BYTES)) writer.writeIds(tokenizer.encodeUtf8(utf8, from, to));
    const { sourceName, ...facts } = factsOf(document);
    writer.endDocument({ ...facts, characters: countCharacters(utf8) }, sourceName);
  }
}

function factsOf({ hash, utf8, split, sourceName, score }: CorpusDocument): DocumentFacts {
  return { digest: digestOfHash(hash), bytes: utf8.length, split, sourceName, ...(score !== undefined && { score }) };
}

/** Blocks between the reader and the writer. There are never more than the workers can use and the one being filled. */
class BlockQueue {
  /** The block that parts go to next. */
  filling: EncodeBlock | undefined;
  private readonly atWork: { readonly block: EncodeBlock; readonly done: Promise<void> }[] = [];
  private readonly spare: EncodeBlock[] = [];
  /** Of the document whose parts are being written. */
  private characters = 0;

  constructor(
    private readonly pool: EncodePool,
    private readonly writer: IdsSink,
    private readonly idBytes: 2 | 4,
  ) {}

  /** Gives the block to a worker and begins another, with room for a part of so many bytes. */
  async nextBlock(bytes: number): Promise<EncodeBlock> {
    this.submit();
    if (this.atWork.length >= this.pool.capacity) await this.writeOldest();
    // A part without a cut has a block of its own size, which is not kept.
    const block = bytes > BLOCK_BYTES ? undefined : this.spare.pop();
    this.filling = block ?? new EncodeBlock(Math.max(bytes, BLOCK_BYTES), this.idBytes);
    return this.filling;
  }

  async finish(): Promise<void> {
    this.submit();
    while (this.atWork.length > 0) await this.writeOldest();
  }

  private submit(): void {
    if (this.filling) this.atWork.push({ block: this.filling, done: this.pool.encode(this.filling) });
    this.filling = undefined;
  }

  private async writeOldest(): Promise<void> {
    const { block, done } = this.atWork.shift()!;
    await done;
    for (const { ids, characters, ends } of block.encoded()) {
      this.writer.writeIds(ids);
      this.characters += characters;
      if (!ends) continue;
      const { sourceName, ...facts } = ends;
      this.writer.endDocument({ ...facts, characters: this.characters }, sourceName);
      this.characters = 0;
    }
    block.clear();
    if (block.capacity === BLOCK_BYTES) this.spare.push(block);
  }
}
