// How much of a benchmark stands in the training text: n-grams of words that an item shares with a training document.
// After Brown et al. 2020 ("Language models are few-shot learners", appendix C), who take 13-grams and for sets of short
// items fewer; here each item has its own n, at most 13 and at most its length, so that a short item must occur whole.

import { NgramSet } from "../data/ngram-set.ts";
import { WordHashes, wordsOf } from "../data/words.ts";
import type { Item } from "./item.ts";

export interface ContaminationRule {
  /** n of an item with that many words or more. */
  readonly ngramWords: number;
  /** Items of fewer words are not checked: so short a sentence occurs by chance. */
  readonly leastWords: number;
}

export interface BenchmarkContamination {
  readonly items: number;
  /** Items with at least `leastWords` words. */
  readonly checked: number;
  /** Items of which an n-gram stands in the training text. */
  readonly overlapping: number;
  /** Items of which every n-gram does. */
  readonly contained: number;
}

/** An overlapping item. */
export interface ContaminationMatch {
  readonly benchmark: string;
  /** The item's id, as in items.parquet. */
  readonly item: string;
  readonly ngrams: number;
  readonly found: number;
  /** Number of the first training document that holds `text`, counted from 0 in the order of the shards. */
  readonly document: number;
  /** The item's first n-gram that was found, normalised. */
  readonly text: string;
}

/**
 * What a leak of the item would hold: its text and the right answer, without words that only a protocol adds. Items are
 * those of the protocol `stlm`, whose wording is close to the published rows.
 */
export function passageOf({ task, gold, choices }: Item): string {
  const { context, continuation } = choices[gold]!;
  const answer =
    task === "mmlu" ? continuation.slice(continuation.lastIndexOf(MMLU_ANSWER) + MMLU_ANSWER.length) : continuation;
  return `${context} ${answer}`;
}

/** Before it the protocol lists all options, which no running text would. */
const MMLU_ANSWER = "\n Answer: ";

interface Checked {
  readonly benchmark: string;
  readonly item: Item;
  readonly length: number;
  /** Numbers of its n-grams, in their order. */
  readonly ngrams: Uint32Array;
}

/**
 * Bits of a filter over the first words of all n-grams: nearly every place of a document is done with after one look at
 * 8 MB, where the n-grams themselves lie all over memory. Full benchmarks set one bit in twenty.
 */
const FILTER_BITS = 2 ** 26;

/** Holds the n-grams of all items; give it the training documents one after the other. */
export class ContaminationCheck {
  private readonly words = new WordHashes();
  private readonly set = new NgramSet();
  private readonly checked: Checked[] = [];
  private readonly items = new Map<string, number>();
  private readonly filter = new Uint8Array(FILTER_BITS / 8);
  /** Words that every n-gram has at least: what the filter is about. */
  private readonly prefixWords: number;
  private readonly lengths: readonly boolean[];
  private readonly longest: number;
  /** By n-gram: the first document that holds it + 1, or 0. */
  private readonly firstDocument: Uint32Array;
  private documents = 0;

  constructor(
    tasks: readonly { readonly task: string; readonly items: readonly Item[] }[],
    { ngramWords, leastWords }: ContaminationRule,
  ) {
    this.prefixWords = Math.min(leastWords, ngramWords);
    const lengths: boolean[] = [];
    for (const { task, items } of tasks) {
      this.items.set(task, items.length);
      for (const item of items) {
        const count = this.words.read(passageOf(item));
        if (count < leastWords) continue;
        const length = Math.min(count, ngramWords);
        lengths[length] = true;
        this.checked.push({ benchmark: task, item, length, ngrams: this.number(count, length) });
      }
    }
    this.lengths = lengths;
    this.longest = lengths.length - 1;
    this.firstDocument = new Uint32Array(this.set.size);
  }

  /** The next training document. */
  read(text: string): void {
    const { words, prefixWords } = this;
    const count = words.read(text);
    this.documents++;
    for (let at = 0; at + prefixWords <= count; at++) {
      words.ngram(at, prefixWords);
      const bit = words.first % FILTER_BITS;
      if ((this.filter[bit >> 3]! & (1 << (bit & 7))) !== 0) this.lookUp(at, Math.min(this.longest, count - at));
    }
  }

  /** All n-grams from `at` on of up to `most` words; `words` holds the first of them, and is extended. */
  private lookUp(at: number, most: number): void {
    const { words, set, lengths, firstDocument } = this;
    for (let length = this.prefixWords; length <= most; length++) {
      if (length > this.prefixWords) words.extend(at + length - 1);
      if (!lengths[length]) continue;
      words.finish();
      const ngram = set.get(words.first, words.second);
      if (ngram >= 0 && firstDocument[ngram] === 0) firstDocument[ngram] = this.documents;
    }
  }

  /** Counts by benchmark, in the order in which they were given. */
  result(): Readonly<Record<string, BenchmarkContamination>> {
    const counts = new Map(
      [...this.items].map(([task, items]) => [task, { items, checked: 0, overlapping: 0, contained: 0 }]),
    );
    for (const checked of this.checked) {
      const benchmark = counts.get(checked.benchmark)!;
      const found = this.found(checked);
      benchmark.checked++;
      if (found > 0) benchmark.overlapping++;
      if (found === checked.ngrams.length) benchmark.contained++;
    }
    return Object.fromEntries(counts);
  }

  /** Every overlapping item, in the order of the items. */
  *matches(): Iterable<ContaminationMatch> {
    for (const checked of this.checked) {
      const found = this.found(checked);
      if (found === 0) continue;
      const at = checked.ngrams.findIndex((ngram) => this.firstDocument[ngram]! > 0);
      yield {
        benchmark: checked.benchmark,
        item: checked.item.id,
        ngrams: checked.ngrams.length,
        found,
        document: this.firstDocument[checked.ngrams[at]!]! - 1,
        text: wordsOf(passageOf(checked.item))
          .slice(at, at + checked.length)
          .join(" "),
      };
    }
  }

  private number(count: number, length: number): Uint32Array {
    return Uint32Array.from({ length: count - length + 1 }, (_, at) => {
      this.words.ngram(at, this.prefixWords);
      const bit = this.words.first % FILTER_BITS;
      this.filter[bit >> 3]! |= 1 << (bit & 7);
      this.words.ngram(at, length);
      return this.set.add(this.words.first, this.words.second, this.set.size);
    });
  }

  private found({ ngrams }: Checked): number {
    let found = 0;
    for (const ngram of ngrams) if (this.firstDocument[ngram]! > 0) found++;
    return found;
  }
}
