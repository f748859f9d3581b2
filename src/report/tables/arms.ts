// Every arm that was trained and which claims it served, with its cost: part of the negative results, so that nothing
// that was tried stays unsaid.

import { defineTable } from "../table.ts";

export default defineTable({
  name: "arms",
  title: "Every arm that ran",
  caption: "With all of its runs. An arm without a claim is exploratory: its numbers suggest, they do not confirm.",
  sql: `SELECT a.arm, count(*) AS runs, count(*) FILTER (WHERE status = 'diverged') AS diverged,
               coalesce(any_value(array_to_string(claims, ', ')), 'exploratory') AS claims,
               sum(tokens)::BIGINT AS tokens, sum(flops) AS flops, list(digest ORDER BY training) AS digests
        FROM arms a JOIN trainings t USING (arm)
             LEFT JOIN (SELECT arm, list(name ORDER BY position) AS claims FROM claim_arms GROUP BY arm) USING (arm)
        GROUP BY a.arm, a.position ORDER BY a.position`,
  key: ["arm"],
  columns: {
    arm: { label: "Model" },
    runs: { label: "Runs" },
    diverged: { label: "Diverged" },
    claims: { label: "Claims" },
    tokens: { label: "Tokens" },
    flops: { label: "FLOPs", as: "power", optional: true },
    digests: { label: "Models' hashes", as: "digest" },
  },
});
