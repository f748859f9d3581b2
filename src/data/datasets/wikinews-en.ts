// English Wikinews.

import { type Dataset, localFile, PLAIN_TEXT } from "./dataset.ts";

export const wikinewsEn: Dataset = {
  name: "wikinews-en",
  kind: "text",
  license: "CC-BY-2.5",
  homepage: "https://en.wikinews.org",
  language: "en",
  description: "Articles of English Wikinews.",
  size: "10,433 articles, 16 MB of text, 3.4 M GPT-2 tokens",
  rows: 10_433,
  columns: ["id", "url", "title", "text"],
  files: [
    localFile(
      "corpora/wikinews-en/train-00000-of-00001.parquet",
      "parquet",
      5_559_236,
      "1e02a579e3dcfafd793814b534bb5adf728d9037a25290a378c49ef263ab1ad9",
    ),
  ],
  text: PLAIN_TEXT,
};
