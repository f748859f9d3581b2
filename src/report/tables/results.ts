// Table 2: what each model scores, beside controls that know nothing and the score of guessing. Rows and columns follow
// table 2 of Hillier et al. 2024; every number has its uncertainty, which theirs do not.

import type { ReportDatabase } from "../db.ts";
import { enumerate, formatNumber, plural } from "../markdown.ts";
import { isAccuracy, isMetric, type MetricName, metricNames, metrics } from "../metrics.ts";
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
  caption: async (database) =>
    "Mean over seeds ± standard error, which joins the spread between seeds and the spread over items " +
    "(documents; BLiMP's paradigms; MMLU's subjects): the root of the sum of both squares. Accuracies are in percent; where choices tie for " +
    "the highest score, each counts its share (`accuracySplit` in metrics.json). " +
    (await scoringOf(database)) +
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
    ...(await dataNotes(database)),
    ...(await chanceNotes(database)),
    ...(await singleRunNotes(database)),
    ...(await tieNotes(database)),
  ],
});

async function chanceNotes(database: ReportDatabase): Promise<string[]> {
  const rows = await database.query(
    "SELECT label FROM guessing WHERE verdict = 'not told from guessing' ORDER BY position",
  );
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

/** The protocol, which all evaluations share, and the benchmarks with their sizes. */
async function scoringOf(database: ReportDatabase): Promise<string> {
  const [evaluation] = await database.query("SELECT any_value(protocol) AS protocol FROM evaluations");
  if (typeof evaluation?.["protocol"] !== "string") return "";
  const rows = await database.query("SELECT metric, max(items) AS items FROM scores GROUP BY metric");
  const sizes = new Map(rows.map((row) => [row["metric"], row["items"] as number]));
  const parts = shown.flatMap((name) => {
    const items = isAccuracy(name) ? sizes.get(name) : undefined;
    return items === undefined ? [] : [`${metrics[name].label} (${plural(items, "item")})`];
  });
  return parts.length === 0
    ? ""
    : `Benchmarks, under the protocol \`${evaluation["protocol"]}\`: ${enumerate(parts)}. `;
}

/** What the evaluations remark on their benchmarks' data, each remark once. */
async function dataNotes(database: ReportDatabase): Promise<string[]> {
  const rows = await database.query(
    "SELECT DISTINCT metric, note FROM benchmarks WHERE note IS NOT NULL ORDER BY metric, note",
  );
  if (rows.length === 0) return [];
  const label = (name: string) => (isMetric(name) ? metrics[name].label : name);
  return [rows.map((row) => `- ${label(row["metric"] as string)}: ${row["note"]}`).join("\n")];
}

async function tieNotes(database: ReportDatabase): Promise<string[]> {
  const rows = await database.query(`
    SELECT task, count(*) FILTER (WHERE tie) AS ties, count(*) AS items
    FROM items JOIN evaluations USING (evaluation) JOIN arms USING (arm) WHERE NOT control GROUP BY task`);
  if (rows.length === 0) return [];
  const tied = shown.flatMap((name) => {
    const row = rows.find((candidate) => candidate["task"] === name);
    if (!row || row["ties"] === 0) return [];
    return [
      `${formatNumber(row["ties"] as number, 0)} of ${formatNumber(row["items"] as number, 0)} on ${metrics[name].label}`,
    ];
  });
  return tied.length === 0
    ? ["No answer of a model was a tie, so giving ties to the first choice (the harness's `acc`) would change nothing."]
    : [
        `Ties among the models' answers: ${enumerate(tied)}. With ties given to the first choice (the harness's \`acc\`), ` +
          'accuracies differ: the table "Every run" has both.',
      ];
}
