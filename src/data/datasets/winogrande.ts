// WinoGrande (Sakaguchi et al. 2019, arXiv 1907.10641), the validation split of its largest configuration: the labels
// of its test split are not published.

import { type Dataset, hubFile, PLAIN_TEXT } from "./dataset.ts";

export const winogrande: Dataset = {
  name: "winogrande",
  kind: "benchmark",
  license: "CC-BY-4.0",
  homepage: "https://huggingface.co/datasets/allenai/winogrande",
  language: "en",
  description: "WinoGrande: which of two names or things fills the blank of a sentence.",
  size: "1,267 items",
  rows: 1267,
  columns: ["sentence", "option1", "option2", "answer"],
  files: [
    {
      ...hubFile(
        "allenai/winogrande",
        "01e74176c63542e6b0bcb004dcdea22d94fb67b5",
        "winogrande_xl/validation-00000-of-00001.parquet",
        "parquet",
      ),
      benchmark: "winogrande",
    },
  ],
  text: PLAIN_TEXT,
  remark: "The hub's digest of this file is not known to us: pinned on first use.",
};
