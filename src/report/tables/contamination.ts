// How many benchmark items stand in the training text.

import { defineTable } from "../table.ts";

export default defineTable({
  name: "contamination",
  title: "Contamination",
  async caption(database) {
    const [row] = await database.query("SELECT ngram_words, least_words, documents FROM contamination LIMIT 1");
    const { ngram_words: words, least_words: least, documents } = row!;
    return (
      `Benchmark items whose words stand in the ${documents} training documents: at least one n-gram of ${words} words (of all its words, ` +
      `if it has fewer), or all of them. Case and punctuation do not count; items under ${least} words are not checked. ` +
      "`matches.jsonl` of the artifact names each item, the words and the document."
    );
  },
  sql: `SELECT metric, label, items, checked, overlapping, contained,
               CASE WHEN checked > 0 THEN 100.0 * overlapping / checked END AS share, digest AS digests
        FROM contamination ORDER BY position, metric`,
  key: ["metric"],
  columns: {
    label: { label: "Benchmark" },
    items: { label: "Items" },
    checked: { label: "Checked" },
    overlapping: { label: "With an n-gram in the training text" },
    contained: { label: "Wholly in it" },
    share: { label: "Overlapping, % of checked", digits: 1 },
    digests: { label: "Rests on", as: "digest" },
  },
});
