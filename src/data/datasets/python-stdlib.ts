// Library code: a stand-in for code, not contest code.

import { type Dataset, localFile, PLAIN_TEXT } from "./dataset.ts";

export const pythonStdlib: Dataset = {
  name: "python-stdlib",
  kind: "text",
  license: "PSF-2.0",
  homepage: "https://www.python.org",
  language: "python",
  description: "Modules of Python's standard library.",
  size: "466 files, 8.6 MB of text, 3.9 M GPT-2 tokens",
  rows: 466,
  columns: ["path", "text"],
  files: [
    localFile(
      "corpora/python-stdlib/train-00000-of-00001.parquet",
      "parquet",
      1_790_003,
      "21812bfea9a79299500af280f9cd66713ada8d041959f36ae8edf7cd502199bd",
    ),
  ],
  text: PLAIN_TEXT,
};
