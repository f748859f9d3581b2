// Whether the models know anything of each benchmark: the tests of guessing.ts, with the unigram control beside them.

import { defineTable } from "../table.ts";

export default defineTable({
  name: "guessing",
  title: "Against guessing",
  caption:
    "The mean over all runs of all trained models, each item's answers averaged over the runs first, against chance, one-sided, by Student's t. " +
    "Two questions have two errors. On this benchmark: its groups of items (BLiMP's paradigms, MMLU's subjects) are given and ± is the error within them, as in " +
    "lm-evaluation-harness. Beyond it: groups are drawn too and ± is the error between them. Both p are adjusted by Holm over the benchmarks, so models that only guess " +
    "are called above chance anywhere in about 5 % of reports at most. Each row rests on the evaluations that table 2 names.",
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
    beyondSe: { label: "± beyond", digits: 1, optional: true },
    beyondP: { label: "p beyond", as: "p", optional: true },
    verdict: { label: "Finding" },
  },
});
