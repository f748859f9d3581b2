// Fourteen children's books from before 1923 in chapters: the default corpus.

import { bundledFile, type Dataset, PLAIN_TEXT } from "./dataset.ts";

export const bundledStories: Dataset = {
  name: "bundled-stories",
  kind: "text",
  license: "LicenseRef-public-domain-US",
  homepage: "https://www.gutenberg.org",
  language: "en",
  description:
    "Chapters of 14 children's books published before 1923: Grimm, Andersen, Alice, Oz, Peter Pan and others.",
  size: "740 documents, 4.9 MB of text, about 1.2 M tokens",
  rows: 740,
  columns: ["id", "title", "author", "text"],
  files: [
    bundledFile("stories.jsonl.gz", 1_648_850, "19bb0c27d6c91e58957838cb374c8467655cd6121f92a74f42ec4e9339fa4bcc"),
  ],
  text: PLAIN_TEXT,
};
