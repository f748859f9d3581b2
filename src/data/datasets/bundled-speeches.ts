// Speeches of presidents of the United States: a second domain for mixes.

import { bundledFile, type Dataset, PLAIN_TEXT } from "./dataset.ts";

export const bundledSpeeches: Dataset = {
  name: "bundled-speeches",
  kind: "text",
  license: "LicenseRef-public-domain-US",
  homepage: "https://www.govinfo.gov",
  language: "en",
  description: "Inaugural and other speeches of presidents of the United States since 1789.",
  size: "87 documents, 1.7 MB of text",
  rows: 87,
  columns: ["id", "text"],
  files: [
    bundledFile("speeches.jsonl.gz", 587_231, "2432b969de57958f43676c93d2236be8d41bc9f4e3c6bdb49445eb4737b9d04a"),
  ],
  text: PLAIN_TEXT,
};
