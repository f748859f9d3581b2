// What every training cost, in units that no clock decides. Measured seconds are in the run records.

import { defineTable } from "../table.ts";

export default defineTable({
  name: "cost",
  title: "Cost",
  caption:
    "Work per training run, failed and diverged ones included. Epochs are tokens seen over tokens of the training split. " +
    "Seconds and watts depend on the machine: `stlm-pipeline runs` has them.",
  sql: `WITH corpus AS (SELECT any_value(tokens) AS size FROM splits WHERE split = 'train')
        SELECT arm, seed, status, parameters, steps, tokens, tokens / size AS epochs, flops, digest AS model, [digest] AS digests, training AS position
        FROM trainings, corpus
        UNION ALL BY NAME
        SELECT 'all' AS arm, sum(steps)::BIGINT AS steps, sum(tokens)::BIGINT AS tokens, sum(flops) AS flops, list(digest ORDER BY training) AS digests, 1000000 AS position
        FROM trainings HAVING count(*) > 0
        ORDER BY position`,
  key: ["arm", "seed"],
  columns: {
    arm: { label: "Model" },
    seed: { label: "Seed" },
    status: { label: "Status" },
    parameters: { label: "Parameters" },
    steps: { label: "Steps" },
    tokens: { label: "Tokens" },
    epochs: { label: "Epochs", digits: 2, optional: true },
    flops: { label: "FLOPs", as: "power", optional: true },
    model: { label: "Model's hash", as: "digest" },
  },
});
