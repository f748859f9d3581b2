// The registered claims and what became of them.

import { defineTable } from "../table.ts";

export default defineTable({
  name: "hypotheses",
  title: "Table 3: registered claims",
  caption:
    "Effect is treatment minus control, in the metric's unit (accuracies in points). Both intervals are 95 % and not adjusted; p is " +
    "adjusted over the family of all registered claims (Holm). MDE is the true effect that these runs would have found with at most 80 % power. " +
    "The pairs behind a row, where there are any, stand in the next table with their hashes.",
  sql: "SELECT * FROM verdicts ORDER BY position",
  key: ["name"],
  columns: {
    name: { label: "Claim", as: "code" },
    metric: { label: "Metric", as: "code" },
    direction: { label: "Expected" },
    pairs: { label: "Pairs" },
    effect: { label: "Effect", digits: "digits", as: "signed" },
    seedCenter: { label: "Over seeds", digits: "digits", interval: ["seedLow", "seedHigh"], showInterval: true },
    jointCenter: {
      label: "Over seeds and items",
      digits: "digits",
      interval: ["jointLow", "jointHigh"],
      showInterval: true,
    },
    p: { label: "p", as: "p" },
    mde: { label: "MDE", digits: "digits" },
    smallestEffect: { label: "Of interest from", digits: "digits" },
    verdict: { label: "Verdict" },
  },
});
