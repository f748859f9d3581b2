// Every single run, so that no mean hides its members. Each row's numbers rest on the evaluation named at its end.

import { metricNames, metrics } from "../metrics.ts";
import { type Column, defineTable } from "../table.ts";

const pivot = metricNames.map((name) => `any_value(value) FILTER (WHERE metric = '${name}') AS "${name}"`).join(", ");

export default defineTable({
  name: "runs",
  title: "Every run",
  caption:
    "One row a run; `(norm.)` scores choices by log-probability per character. All numbers of a row rest on its evaluation.",
  sql: `WITH wide AS (SELECT evaluation, ${pivot} FROM scores GROUP BY evaluation)
        SELECT e.arm, e.seed, CASE WHEN e.diverged THEN 'diverged' ELSE 'completed' END AS status, t.train_loss AS loss,
               wide.* EXCLUDE (evaluation), e.digest AS digests, t.digest AS model
        FROM evaluations e JOIN arms a USING (arm) LEFT JOIN wide USING (evaluation)
             LEFT JOIN trainings t ON t.training = e.training
        WHERE NOT a.control ORDER BY a.position, e.evaluation`,
  key: ["arm", "seed"],
  columns: {
    arm: { label: "Model" },
    seed: { label: "Seed" },
    status: { label: "Status" },
    loss: { label: "Training loss (nats)", digits: 4, optional: true, digests: "model" },
    ...Object.fromEntries(
      metricNames.map((name): [string, Column] => [
        name,
        { label: metrics[name].label, digits: metrics[name].digits, optional: true },
      ]),
    ),
    digests: { label: "Evaluation", as: "digest" },
    model: { label: "Model's hash", as: "digest" },
  },
});
