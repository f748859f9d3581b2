// HellaSwag (Zellers et al. 2019, arXiv 1905.07830), its validation split: the labels of its test split are not published.

import { type Dataset, hubFile, PLAIN_TEXT } from "./dataset.ts";

export const hellaswag: Dataset = {
  name: "hellaswag",
  kind: "benchmark",
  license: "MIT",
  homepage: "https://huggingface.co/datasets/Rowan/hellaswag",
  language: "en",
  description: "HellaSwag: which of four endings continues a description of an everyday scene.",
  size: "10,042 items, 6.3 MB",
  rows: 10_042,
  columns: ["ind", "activity_label", "ctx_a", "ctx_b", "ctx", "endings", "source_id", "split", "split_type", "label"],
  files: [
    {
      ...hubFile(
        "Rowan/hellaswag",
        "218ec52e09a7e7462a5400043bb9a69a41d06b76",
        "data/validation-00000-of-00001.parquet",
        "parquet",
        { bytes: 6_315_951, sha256: "899813071e1e95efafec90f856e1987d2150fa4d020fc005df6962c259f660cd" },
      ),
      benchmark: "hellaswag",
    },
  ],
  text: PLAIN_TEXT,
};
