// BLiMP (Warstadt et al. 2020, arXiv 1912.00582): 67 paradigms of 1,000 minimal pairs.

import { blimpParadigms } from "./blimp-paradigms.ts";
import { type Dataset, hubFile, PLAIN_TEXT } from "./dataset.ts";

export const blimp: Dataset = {
  name: "blimp",
  kind: "benchmark",
  license: "CC-BY-4.0",
  homepage: "https://huggingface.co/datasets/nyu-mll/blimp",
  language: "en",
  description: "BLiMP: pairs of sentences that differ in one point of grammar, 67 paradigms of 1,000.",
  size: "67,000 items, 67 files",
  rows: 67_000,
  columns: [
    ...["sentence_good", "sentence_bad", "field", "linguistics_term", "UID", "simple_LM_method", "one_prefix_method"],
    ...["two_prefix_method", "lexically_identical", "pair_id"],
  ],
  files: blimpParadigms.map((paradigm) => ({
    ...hubFile(
      "nyu-mll/blimp",
      "877fba0801ffb7cbd8c39c1ff314a46f053f6036",
      `${paradigm}/train-00000-of-00001.parquet`,
      "parquet",
    ),
    benchmark: "blimp",
  })),
  text: PLAIN_TEXT,
  remark: "The hub's digests of these files are not known to us: pinned on first use.",
};
