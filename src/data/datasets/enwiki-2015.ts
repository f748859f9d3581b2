// English Wikipedia of 2015, a sample drawn by SHA-256 of the article ids.

import { type Dataset, localFile, PLAIN_TEXT } from "./dataset.ts";

export const enwiki2015: Dataset = {
  name: "enwiki-2015",
  kind: "text",
  license: "CC-BY-SA-3.0 AND GFDL-1.2-or-later",
  homepage: "https://en.wikipedia.org",
  language: "en",
  description:
    "A sample of English Wikipedia as it was in 2015; about 4 gaps per 1,000 sentences where links were dropped.",
  size: "12,835 articles, 190 MB of text, 41.4 M GPT-2 tokens",
  rows: 12_835,
  columns: ["id", "url", "title", "text"],
  files: [
    localFile(
      "corpora/enwiki-2015/train-00000-of-00005.parquet",
      "parquet",
      12_048_037,
      "969b73f042fdeee6febc52f4456a7b5157e4ec48fc0f075f089c19c4c2c48f94",
    ),
    localFile(
      "corpora/enwiki-2015/train-00001-of-00005.parquet",
      "parquet",
      11_923_034,
      "29549379262e8743a1ecde8760c1d0fb688c7d84c7a8294b194a7511e08e62e6",
    ),
    localFile(
      "corpora/enwiki-2015/train-00002-of-00005.parquet",
      "parquet",
      12_015_260,
      "3b79673a29b585ae892ebbd8efae60ea1088497d1c9359084f2b8401bafa25f4",
    ),
    localFile(
      "corpora/enwiki-2015/train-00003-of-00005.parquet",
      "parquet",
      12_368_636,
      "0a432a7eb8dc8bee42def8a60f6c8934e8ddecc96c0e46c16e49117856fed990",
    ),
    localFile(
      "corpora/enwiki-2015/train-00004-of-00005.parquet",
      "parquet",
      12_177_446,
      "4762e47376c8ddc4880dc0458d7ab659de6bce910acef5ab7b79f0ca8d18bbf7",
    ),
  ],
  text: PLAIN_TEXT,
};
