// GSM8K (Cobbe et al. 2021, arXiv 2110.14168), its test split. Its answers are generated, not chosen, so the evaluate
// stage names it as skipped.

import { type Dataset, hubFile, PLAIN_TEXT } from "./dataset.ts";

export const gsm8k: Dataset = {
  name: "gsm8k",
  kind: "benchmark",
  license: "MIT",
  homepage: "https://huggingface.co/datasets/openai/gsm8k",
  language: "en",
  description: "GSM8K: word problems of grade school mathematics with worked answers.",
  size: "1,319 items",
  rows: 1319,
  columns: ["question", "answer"],
  files: [
    {
      ...hubFile(
        "openai/gsm8k",
        "740312add88f781978c0658806c59bc2815b9866",
        "main/test-00000-of-00001.parquet",
        "parquet",
        { sha256: "ee7b8da9e381df27b9e3f7758a159ab2bdaa4dbaa910546cbbc47e0cb44e4f59" },
      ),
      benchmark: "gsm8k",
    },
  ],
  text: PLAIN_TEXT,
  remark: "The evaluate stage does not score it, for its answers have to be generated.",
};
