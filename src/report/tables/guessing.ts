// Whether the models know anything of each benchmark: the tests of guessing.ts, with the unigram control beside them.

import { defineTable } from "../table.ts";

export default defineTable({
  name: "guessing",
  title: "Against guessing",
  caption:
    "One test a benchmark: the mean over all runs of all trained models, each item's answers averaged over the runs first, must lie above " +
    "chance, one-sided, by Student's t over clusters of items (BLiMP's paradigms, MMLU's subjects, else items). ± is the standard error over those " +
    "clusters. p is adjusted by Holm over the benchmarks, so models that only guess are called above chance anywhere in about 5 % of reports at most.",
  sql: "SELECT * FROM guessing ORDER BY position",
  key: ["metric"],
  columns: {
    label: { label: "Benchmark" },
    items: { label: "Items" },
    runs: { label: "Runs" },
    chance: { label: "Chance", digits: 1 },
    value: { label: "Mean of all runs", digits: 1, spread: "se" },
    unigram: { label: "Unigram control", digits: 1, optional: true, digests: "unigramDigests" },
    p: { label: "p", as: "p" },
    verdict: { label: "Finding" },
  },
});
