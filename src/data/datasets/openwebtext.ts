// OpenWebText (Gokaslan & Cohen 2019), the paper's main corpus: an open copy of GPT-2's WebText.

import { type Dataset, hubFile, PLAIN_TEXT } from "./dataset.ts";

const REVISION = "b4325f019c648b1641a1784748667e8b74e5e064";
const SHARDS = 80;

/** Digests that several public sources agree on; the other shards are pinned on first use. */
const KNOWN: readonly (readonly [bytes: number, sha256: string])[] = [
  [302_848_326, "caed9f4b7053d7cd4d1a13ce9ec9224d84a3bba1f11579193562a7e31ebe656e"],
  [305_678_548, "70307b7749e10cb0bfb895fde024dd82d96e6bb2710bca1886b952abe45bf3ea"],
  [304_419_240, "0d02a67f73464d383c8df2059f27b36b4b1652c855051be3c65930baef12bd2d"],
  [304_332_042, "437833e29326c3d88792e834d36368d2c4836e5c5f3535233a88f3cf7dd46aad"],
  [301_175_397, "7b3cef26e2d4e2b041e6e13a0102cb4d03277e8c6418b8ff1b865544a4695de3"],
  [301_755_705, "2d3200a936b021c9abafdda6714e4d678387e8854e56abaac5d2b62882fc6044"],
  [303_536_715, "76c0b96ce0250c3a32f2e8878172a4b79ac7970fede78edfcfc4d98d87ec5a6c"],
];

const number = (value: number) => String(value).padStart(5, "0");

export const openwebtext: Dataset = {
  name: "openwebtext",
  kind: "text",
  license: "CC0-1.0",
  homepage: "https://skylion007.github.io/OpenWebTextCorpus",
  language: "en",
  description: "Text of 8,013,769 web pages that Reddit users linked to.",
  size: "8,013,769 documents, 24 GB compressed, about 9 G GPT-2 tokens",
  rows: 8_013_769,
  columns: ["text"],
  files: Array.from({ length: SHARDS }, (_, shard) =>
    hubFile(
      "Skylion007/openwebtext",
      REVISION,
      `plain_text/train-${number(shard)}-of-${number(SHARDS)}.parquet`,
      "parquet",
      KNOWN[shard] === undefined ? {} : { bytes: KNOWN[shard][0], sha256: KNOWN[shard][1] },
    ),
  ),
  text: PLAIN_TEXT,
  remark: "The digests of the first 7 files are known; the others are pinned on first use.",
};
