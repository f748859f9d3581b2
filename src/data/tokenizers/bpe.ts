// Byte-level BPE trained on the lab's own text: the vocabulary that fits a super tiny model.

import { setImmediate as untilEventsHandled } from "node:timers/promises";
import { UserError } from "../../util/errors.ts";
import { formatCount } from "../../util/format.ts";
import { BpeTrainer } from "./bpe-trainer.ts";
import { GPT2_BYTE_ORDER } from "./byte-symbols.ts";
import { ByteLevelTokenizer } from "./tokenizer.ts";
import { NUM_BYTES, Vocabulary } from "./vocabulary.ts";
import { WordCounts } from "./word-counts.ts";

export interface TrainingProgress {
  readonly unit: "bytes" | "merges";
  readonly done: number;
  /** Unknown while text is still being read. */
  readonly total: number | undefined;
}

/** Texts, or their UTF-8. */
export type TrainingTexts = AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;

export interface TrainingOptions {
  /** Entries in all: 256 byte symbols, the merges and the end of text (the last id). At least 257. */
  readonly vocabSize: number;
  /** Aborted: training stops within about a tenth of a second. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
  /** Told how many words were forgotten, if the text has more of them than are kept (word-counts.ts). */
  readonly onForgotten?: ((words: number) => void) | undefined;
}

export const MIN_VOCAB_SIZE = NUM_BYTES + 1;

// How much work is done before others get a turn: some 50 ms each.
const BYTES_PER_TURN = 1 << 21;
const FUSED_PER_TURN = 1 << 18;
const MERGES_PER_TURN = 1 << 12;

/**
 * Learns a vocabulary from documents; merges never cross from one to the next. Same documents, same tokenizer, in
 * whatever order they come, unless there are so many distinct words that rare ones are forgotten (word-counts.ts). Throws a UserError if the text has too few merges for `vocabSize`, and what `signal` says.
 */
async function train(
  documents: TrainingTexts,
  { vocabSize, signal, onProgress, onForgotten }: TrainingOptions,
): Promise<ByteLevelTokenizer> {
  if (!Number.isSafeInteger(vocabSize) || vocabSize < MIN_VOCAB_SIZE) {
    throw new UserError(`A bpe tokenizer cannot have ${vocabSize} entries.`, {
      code: "BAD_VOCAB_SIZE",
      where: { path: "vocabSize" },
      hint: `Give a whole number of at least ${MIN_VOCAB_SIZE}: 256 bytes and the end of text, then one entry per merge.`,
    });
  }
  const trainer = new BpeTrainer(await countWords(documents, { signal, onProgress, onForgotten }));
  const merges = await learnMerges(trainer, vocabSize - MIN_VOCAB_SIZE, signal, onProgress);
  return new ByteLevelTokenizer("bpe", new Vocabulary(GPT2_BYTE_ORDER, Int32Array.from(merges)));
}

async function countWords(
  documents: TrainingTexts,
  { signal, onProgress, onForgotten }: Omit<TrainingOptions, "vocabSize">,
): Promise<WordCounts> {
  const words = new WordCounts();
  let done = 0;
  let pause = BYTES_PER_TURN;
  for await (const document of documents) {
    signal?.throwIfAborted();
    done += words.add(document);
    if (done < pause) continue;
    pause = done + BYTES_PER_TURN;
    onProgress?.({ unit: "bytes", done, total: undefined });
    await untilEventsHandled();
  }
  signal?.throwIfAborted();
  onProgress?.({ unit: "bytes", done, total: done });
  if (words.numForgotten > 0) onForgotten?.(words.numForgotten);
  return words;
}

async function learnMerges(
  trainer: BpeTrainer,
  total: number,
  signal: TrainingOptions["signal"],
  onProgress: TrainingOptions["onProgress"],
): Promise<readonly number[]> {
  let pauseFused = FUSED_PER_TURN;
  let pauseMerges = MERGES_PER_TURN;
  for (let done = 0; done < total; done++) {
    if (!trainer.mergeNext()) {
      const most = done + MIN_VOCAB_SIZE;
      throw new UserError(
        `The text is too small for a vocabulary of ${formatCount(total + MIN_VOCAB_SIZE)}: it has ${formatCount(done)} merges.`,
        {
          code: "TEXT_TOO_SMALL",
          where: { path: "vocabSize" },
          hint: `Set vocabSize to at most ${most}, or give more text.`,
        },
      );
    }
    if (trainer.numFused < pauseFused && done < pauseMerges) continue;
    pauseFused = trainer.numFused + FUSED_PER_TURN;
    pauseMerges = done + MERGES_PER_TURN;
    onProgress?.({ unit: "merges", done, total });
    await untilEventsHandled();
    signal?.throwIfAborted();
  }
  onProgress?.({ unit: "merges", done: total, total });
  return trainer.merges;
}

export const bpe = { train };
