// English Wikipedia, the dump of November 2023.

import { type Dataset, hubFile, PLAIN_TEXT } from "./dataset.ts";

const SHARDS = 41;
const number = (value: number) => String(value).padStart(5, "0");

export const englishWikipedia: Dataset = {
  name: "english-wikipedia",
  kind: "text",
  license: "CC-BY-SA-3.0 AND GFDL-1.2-or-later",
  homepage: "https://huggingface.co/datasets/wikimedia/wikipedia",
  language: "en",
  description: "All articles of English Wikipedia on 1 November 2023.",
  size: "41 files of about 0.3 GB compressed",
  columns: ["id", "url", "title", "text"],
  files: Array.from({ length: SHARDS }, (_, shard) =>
    hubFile(
      "wikimedia/wikipedia",
      "b04c8d1ceb2f5cd4588862100d08de323dccfbaa",
      `20231101.en/train-${number(shard)}-of-${number(SHARDS)}.parquet`,
      "parquet",
    ),
  ),
  text: PLAIN_TEXT,
};
