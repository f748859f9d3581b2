// Books of Project Gutenberg without its own texts.

import { type Dataset, localFile, PLAIN_TEXT } from "./dataset.ts";

export const gutenbergBooks: Dataset = {
  name: "gutenberg-books",
  kind: "text",
  license: "LicenseRef-public-domain-US",
  homepage: "https://www.gutenberg.org",
  language: "en",
  description: "Books of Project Gutenberg, drawn by SHA-256 of their ids, without Gutenberg's own texts.",
  size: "195 books, 74 MB of text, 18.0 M GPT-2 tokens",
  rows: 195,
  columns: ["id", "title", "author", "text"],
  files: [
    localFile(
      "corpora/gutenberg-books/train-00000-of-00003.parquet",
      "parquet",
      7_861_456,
      "bb7cd1825d439d041ce9b435faf522724a42b3dfd60f4c015fb938971a109ee9",
    ),
    localFile(
      "corpora/gutenberg-books/train-00001-of-00003.parquet",
      "parquet",
      8_243_366,
      "e2a41701c6ef238ea9c285f9913f5d9b786138f0d779d54759d438dd526bdd65",
    ),
    localFile(
      "corpora/gutenberg-books/train-00002-of-00003.parquet",
      "parquet",
      7_432_143,
      "012d8da1942d870c894ef5a29e588e5433844c7632f67cbb06d0091d48436b5a",
    ),
  ],
  text: PLAIN_TEXT,
};
