// Every single run, so that no mean hides its members. Each row's numbers rest on the evaluation named at its end.

import { isAccuracy, metricNames, metrics } from "../metrics.ts";
import { type Column, defineTable } from "../table.ts";

const pivot = metricNames.map((name) => `any_value(value) FILTER (WHERE metric = '${name}') AS "${name}"`).join(", ");

const tasks = metricNames.filter((name) => isAccuracy(name) && !name.endsWith("_norm"));
const first = tasks
  .map((name) => `any_value(accuracy) FILTER (WHERE metric = '${name}') AS "${name}_first"`)
  .join(", ");

export default defineTable({
  name: "runs",
  title: "Every run",
  caption:
    "One row a run; `(norm.)` scores choices by log-probability per character. `acc` gives a tie to the first of the tied " +
    "choices, as the harness does, and is printed where a model's answers tie; the other columns give each its share. All numbers of a row rest on its evaluation.",
  sql: `WITH wide AS (SELECT evaluation, ${pivot} FROM scores GROUP BY evaluation),
             tied AS (SELECT DISTINCT metric FROM benchmarks JOIN evaluations USING (evaluation) JOIN arms USING (arm)
                      WHERE ties > 0 AND NOT control),
             harness AS (SELECT evaluation, ${first} FROM benchmarks JOIN tied USING (metric) GROUP BY evaluation)
        SELECT e.arm, e.seed, CASE WHEN e.diverged THEN 'diverged' ELSE 'completed' END AS status, t.train_loss AS loss,
               wide.* EXCLUDE (evaluation), harness.* EXCLUDE (evaluation), e.digest AS digests, t.digest AS model
        FROM evaluations e JOIN arms a USING (arm) LEFT JOIN wide USING (evaluation) LEFT JOIN harness USING (evaluation)
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
    ...Object.fromEntries(
      tasks.map((name): [string, Column] => [
        `${name}_first`,
        { label: `${metrics[name].label} \`acc\``, digits: metrics[name].digits, optional: true },
      ]),
    ),
    digests: { label: "Evaluation", as: "digest" },
    model: { label: "Model's hash", as: "digest" },
  },
});
