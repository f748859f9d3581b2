// Simple English Wikipedia, the dump of November 2023: the paper's smallest corpus.

import { type Dataset, hubFile, PLAIN_TEXT } from "./dataset.ts";

export const simpleWikipedia: Dataset = {
  name: "simple-wikipedia",
  kind: "text",
  license: "CC-BY-SA-3.0 AND GFDL-1.2-or-later",
  homepage: "https://huggingface.co/datasets/wikimedia/wikipedia",
  language: "en",
  description: "All 241,787 articles of Simple English Wikipedia on 1 November 2023.",
  size: "241,787 documents, 157 MB compressed",
  rows: 241_787,
  columns: ["id", "url", "title", "text"],
  files: [
    hubFile(
      "wikimedia/wikipedia",
      "b04c8d1ceb2f5cd4588862100d08de323dccfbaa",
      "20231101.simple/train-00000-of-00001.parquet",
      "parquet",
      { bytes: 156_885_218, sha256: "31bded16768a47c286becd292079122f5d7d4397a17b87d4250a00ccd581e6f0" },
    ),
  ],
  text: PLAIN_TEXT,
};
