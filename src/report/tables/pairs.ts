// The pairs of runs under each verdict: the differences that the seeds gave, one by one.

import { defineTable } from "../table.ts";

export default defineTable({
  name: "pairs",
  title: "Pairs behind the verdicts",
  caption:
    "Both runs of a pair share seed and data order, and parameters of equal name and shape start equal. For accuracies: the items that only one of the two " +
    "answered rightly, and the exact p-value of McNemar's test, which speaks of these two models and not of the recipe.",
  sql: "SELECT * FROM pairs ORDER BY position",
  key: ["name", "pair"],
  columns: {
    name: { label: "Claim", as: "code" },
    pair: { label: "Pair" },
    treatment: { label: "Treatment", digits: "digits" },
    control: { label: "Control", digits: "digits" },
    difference: { label: "Difference", digits: "digits", as: "signed" },
    onlyTreatment: { label: "Only treatment right", optional: true },
    onlyControl: { label: "Only control right", optional: true },
    mcnemar: { label: "McNemar p", as: "p", optional: true },
    digests: { label: "Rests on", as: "digest" },
  },
});
