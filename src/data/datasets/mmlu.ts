// MMLU (Hendrycks et al. 2021, arXiv 2009.03300), the test split of all 57 subjects.

import { type Dataset, hubFile, PLAIN_TEXT } from "./dataset.ts";

export const mmlu: Dataset = {
  name: "mmlu",
  kind: "benchmark",
  license: "MIT",
  homepage: "https://huggingface.co/datasets/cais/mmlu",
  language: "en",
  description: "MMLU: questions of 57 subjects from school to profession with four answers to choose from.",
  size: "14,042 items",
  rows: 14_042,
  columns: ["question", "subject", "choices", "answer"],
  files: [
    {
      ...hubFile(
        "cais/mmlu",
        "c30699e8356da336a370243923dbaf21066bb9fe",
        "all/test-00000-of-00001.parquet",
        "parquet",
        { sha256: "74a41822ce7d3def56e1682f958469c04642a5336a5ce912fa375fdb90fb25d7" },
      ),
      benchmark: "mmlu",
    },
  ],
  text: PLAIN_TEXT,
};
