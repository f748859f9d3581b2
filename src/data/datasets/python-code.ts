// The code part of the paper's mix: instructions and Python programs.

import { type Dataset, HUB } from "./dataset.ts";

export const pythonCode500k: Dataset = {
  name: "python-code-500k",
  kind: "text",
  license: "LicenseRef-unknown",
  homepage: "https://huggingface.co/datasets/jtatman/python-code-dataset-500k",
  language: "en, python",
  description: "Instructions and the Python programs that answer them (python-code-dataset-500k).",
  size: "about 500,000 documents",
  columns: ["instruction", "output", "system"],
  files: [
    {
      path: "main",
      format: "parquet",
      source: { kind: "listing", repository: "jtatman/python-code-dataset-500k", ending: ".parquet", hub: HUB },
    },
  ],
  text: { template: "Instruction: {instruction}\nOutput: {output}" },
  remark:
    "The template is the one of the paper's loader. Revision and file names are not known to us: the hub is asked for them at the first use, and its digests are verified, recorded and shown.",
};
