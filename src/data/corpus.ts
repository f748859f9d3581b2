// A data set as the experiments see it: every text once, each in its split.

import { DigestSet } from "./digest-set.ts";
import { type ReadDocumentsOptions, readDocuments, type SourceDocument } from "./documents.ts";
import type { ReadCounts } from "./readers/reader.ts";
import { type SplitName, type SplitRule, splitOf } from "./split.ts";

export interface CorpusDocument extends SourceDocument {
  readonly split: SplitName;
}

export interface CorpusCounts extends ReadCounts {
  /** Further copies of a text that was there, left out. */
  duplicates: number;
}

export function newCorpusCounts(): CorpusCounts {
  return { empty: 0, replaced: 0, duplicates: 0 };
}

/** The documents of a `dataset` folder without exact duplicates (the first copy stays), in their order. */
export async function* readCorpus(
  folder: string,
  rule: SplitRule,
  options: ReadDocumentsOptions & { readonly counts: CorpusCounts },
): AsyncGenerator<CorpusDocument> {
  const seen = new DigestSet();
  for await (const document of readDocuments(folder, options)) {
    if (seen.add(document.hash)) yield { ...document, split: splitOf(document.hash, rule) };
    else options.counts.duplicates++;
  }
}
