// Instructions and answers from GPTeacher: a third domain for mixes.

import { bundledFile, type Dataset, FIRST_EXCHANGE } from "./dataset.ts";

export const bundledChat: Dataset = {
  name: "bundled-chat",
  kind: "text",
  license: "MIT",
  homepage: "https://github.com/teknium1/GPTeacher",
  language: "en",
  description: "700 conversations drawn from GPTeacher.",
  size: "700 documents, 0.45 MB of text",
  rows: 700,
  columns: ["conversations", "source", "category"],
  files: [bundledFile("chat.jsonl.gz", 142_662, "55376bf414e3cd84e2eea6e428d20fbcd76eab7c4f958f40d7f42d3efbc13039")],
  text: FIRST_EXCHANGE,
};
