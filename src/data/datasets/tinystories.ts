// TinyStories (Eldan & Li 2023, arXiv 2305.07759), its training part. Its own validation part stays out, so that
// it remains usable as a test that no run has seen.

import { type Dataset, hubFile, PLAIN_TEXT } from "./dataset.ts";

const SHARDS: readonly (readonly [name: string, bytes: number])[] = [
  ["train-00000-of-00004-2d5a1467fff1081b", 248_731_111],
  ["train-00001-of-00004-5852b56a2bd28fd9", 248_171_980],
  ["train-00002-of-00004-a26307300439e943", 245_894_874],
  ["train-00003-of-00004-d243063613e5a057", 247_988_350],
];

export const tinystories: Dataset = {
  name: "tinystories",
  kind: "text",
  license: "CDLA-Sharing-1.0",
  homepage: "https://huggingface.co/datasets/roneneldan/TinyStories",
  language: "en",
  description: "Short stories in the words of a three-year-old, written by GPT-3.5 and GPT-4.",
  size: "2,119,719 documents, 0.99 GB compressed",
  rows: 2_119_719,
  columns: ["text"],
  files: SHARDS.map(([name, bytes]) =>
    hubFile("roneneldan/TinyStories", "f54c09fd23315a6f9c86f9dc80f725de7d8f9c64", `data/${name}.parquet`, "parquet", {
      bytes,
    }),
  ),
  text: PLAIN_TEXT,
  remark:
    "The authors' loader of the paper's mix asks for {title} and {story}, which this set has not: its one column is taken.",
};
