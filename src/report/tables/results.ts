// Table 2: what each model scores, beside controls that know nothing and the score of guessing. Rows and columns follow
// table 2 of Hillier et al. 2024; every number has its uncertainty, which theirs do not.

import type { ReportDatabase } from "../db.ts";
import { enumerate, formatNumber, plural } from "../markdown.ts";
import { type MetricName, metricNames, metrics } from "../metrics.ts";
import { type Column, defineTable } from "../table.ts";

const shown = metricNames.filter((name) => !name.endsWith("_norm"));

const pivot = (expression: (column: string) => string) =>
  shown
    .map((name) => {
      const pick = (column: string, alias: string) =>
        `any_value(${expression(column)}) FILTER (WHERE metric = '${name}') AS "${name}${alias}"`;
      const columns = ["value", "se", "low", "high", "digests"] as const;
      return columns.map((column) => pick(column, column === "value" ? "" : `:${column}`)).join(", ");
    })
    .join(",\n");

const column = (name: MetricName): Column => ({
  label: metrics[name].label,
  digits: metrics[name].digits,
  spread: `${name}:se`,
  interval: [`${name}:low`, `${name}:high`],
  digests: `${name}:digests`,
  best: metrics[name].better === "lower" ? "min" : "max",
  optional: true,
});

export default defineTable({
  name: "results",
  title: "Table 2: results",
  caption:
    "Mean over seeds ± standard error, which joins the spread between seeds and the spread over items " +
    "(documents; BLiMP's paradigms; MMLU's subjects): the root of the sum of both squares. Accuracies are in percent, with ties split. " +
    "Models share items and seeds, so a difference between two of them can be clearer than these errors suggest: table 3 has it. " +
    "A number is bold only where its 95 % interval excludes those of all other models. `Rests on` names the evaluations.",
  sql: `WITH counted AS (SELECT arm, count(*) AS total, count(*) FILTER (WHERE NOT diverged) AS runs,
                                list(digest ORDER BY evaluation) AS digests, any_value(parameters) AS parameters
                         FROM evaluations GROUP BY arm),
             wide AS (SELECT arm, ${pivot((name) => name)} FROM estimates GROUP BY arm),
             guessing AS (SELECT 'chance' AS arm, ${pivot((name) => (name === "value" ? name : "NULL"))} FROM chance)
        SELECT CASE WHEN control THEN arm || ' (control)' ELSE arm END AS arm, NOT control AS ranked,
               CASE WHEN NOT control THEN CASE WHEN runs = total THEN runs::VARCHAR ELSE runs || ' of ' || total END END AS runs,
               parameters, wide.* EXCLUDE (arm), digests, position
        FROM arms LEFT JOIN counted USING (arm) LEFT JOIN wide USING (arm)
        UNION ALL BY NAME
        SELECT *, 1000000 AS position, false AS ranked FROM guessing WHERE EXISTS (SELECT 1 FROM chance)
        ORDER BY position`,
  key: ["arm"],
  ranked: "ranked",
  columns: {
    arm: { label: "Model" },
    parameters: { label: "Parameters", optional: true },
    runs: { label: "Runs" },
    ...Object.fromEntries(shown.map((name) => [name, column(name)])),
    digests: { label: "Rests on", as: "digest" },
  },
  notes: async (_rows, database) => [
    ...(await chanceNotes(database)),
    ...(await singleRunNotes(database)),
    ...(await tieNotes(database)),
  ],
});

async function chanceNotes(database: ReportDatabase): Promise<string[]> {
  const rows = await database.query("SELECT label FROM guessing WHERE verdict <> 'above chance' ORDER BY position");
  if (rows.length === 0) return [];
  return [
    `**Not told from guessing: ${enumerate(rows.map((row) => String(row["label"])))}.** The models' mean is not shown to lie above chance there ` +
      `(next table), so differences between models in ${rows.length === 1 ? "this column" : "these columns"} are no evidence of skill.`,
  ];
}

async function singleRunNotes(database: ReportDatabase): Promise<string[]> {
  const rows = await database.query(`
    SELECT DISTINCT arm, position FROM estimates JOIN arms USING (arm) WHERE runs = 1 AND NOT control ORDER BY position`);
  if (rows.length === 0) return [];
  const names = enumerate(rows.map((row) => String(row["arm"])));
  return [`No ± for ${names}: with 1 run the spread between seeds is unknown.`];
}

async function tieNotes(database: ReportDatabase): Promise<string[]> {
  const rows = await database.query(`
    SELECT count(*) FILTER (WHERE tie) AS ties, count(*) AS items
    FROM items JOIN evaluations USING (evaluation) JOIN arms USING (arm) WHERE NOT control`);
  const ties = Number(rows[0]?.["ties"] ?? 0);
  if (ties === 0) return [];
  const items = formatNumber(Number(rows[0]!["items"]), 0);
  return [
    `${plural(ties, "score")} of the models' ${items} ${ties === 1 ? "was a tie and counts" : "were ties and count"} in part.`,
  ];
}
