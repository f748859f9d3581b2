// A sample of Simple English Wikipedia; the whole is `simple-wikipedia`.

import { type Dataset, localFile, PLAIN_TEXT } from "./dataset.ts";

export const simplewikiSample: Dataset = {
  name: "simplewiki-sample",
  kind: "text",
  license: "CC-BY-SA-4.0 AND GFDL-1.2-or-later",
  homepage: "https://simple.wikipedia.org",
  language: "en",
  description: "A sample of Simple English Wikipedia.",
  size: "1,179 articles, 1.8 MB of text, 0.4 M GPT-2 tokens",
  rows: 1_179,
  columns: ["id", "url", "title", "text"],
  files: [
    localFile(
      "corpora/simplewiki-sample/train-00000-of-00001.parquet",
      "parquet",
      596_987,
      "f14e88fcffaa6eac8eb3889d6c5da7565ea906791f04a9a335e5b90abcdf933d",
    ),
  ],
  text: PLAIN_TEXT,
};
