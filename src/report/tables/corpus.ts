// What the models were trained and tested on, by split.

import { defineTable } from "../table.ts";

export default defineTable({
  name: "corpus",
  title: "Corpus",
  caption:
    "Splits are by document, so no text stands in two of them. Tokens leave out the end of text after each document.",
  sql: `SELECT split, documents, tokens, bytes, characters, bytes / tokens AS bytesPerToken, digest AS digests
        FROM splits ORDER BY position`,
  key: ["split"],
  columns: {
    split: { label: "Split" },
    documents: { label: "Documents" },
    tokens: { label: "Tokens" },
    bytes: { label: "Bytes" },
    characters: { label: "Characters" },
    bytesPerToken: { label: "Bytes/token", digits: 2 },
    digests: { label: "Shards", as: "digest" },
  },
});
