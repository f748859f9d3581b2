// Children's books of Project Gutenberg without its own texts.

import { type Dataset, localFile, PLAIN_TEXT } from "./dataset.ts";

export const gutenbergChildren: Dataset = {
  name: "gutenberg-children",
  kind: "text",
  license: "LicenseRef-public-domain-US",
  homepage: "https://www.gutenberg.org",
  language: "en",
  description: "Children's books of Project Gutenberg, without Gutenberg's own texts.",
  size: "162 books, 52 MB of text, 13.3 M GPT-2 tokens",
  rows: 162,
  columns: ["id", "title", "author", "text"],
  files: [
    localFile(
      "corpora/gutenberg-children/train-00000-of-00002.parquet",
      "parquet",
      8_049_394,
      "51fd484d957189b1bf0c59e3b0f99357e1fa126d10939fe6c6b7fe4cab2bd5e4",
    ),
    localFile(
      "corpora/gutenberg-children/train-00001-of-00002.parquet",
      "parquet",
      7_966_702,
      "438f2c07a205f77ff9d53291ede4d7d0aea7b9d67d285234ca1321c13b07bca2",
    ),
  ],
  text: PLAIN_TEXT,
};
