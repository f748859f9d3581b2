// A sample of TinyStories (Eldan & Li 2023); the whole is `tinystories`.

import { type Dataset, localFile, PLAIN_TEXT } from "./dataset.ts";

export const tinystoriesSample: Dataset = {
  name: "tinystories-sample",
  kind: "text",
  license: "CDLA-Sharing-1.0",
  homepage: "https://huggingface.co/datasets/roneneldan/TinyStories",
  language: "en",
  description: "A sample of TinyStories.",
  size: "8,545 stories, 7 MB of text, 1.75 M GPT-2 tokens",
  rows: 8_545,
  columns: ["text"],
  files: [
    localFile(
      "corpora/tinystories-sample/train-00000-of-00001.parquet",
      "parquet",
      1_838_501,
      "4b715e0213465c7fab343ae573412271cbc23281d706d92313977e71828ace08",
    ),
  ],
  text: PLAIN_TEXT,
};
