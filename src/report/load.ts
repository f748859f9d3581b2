// From artifacts to tables. The heart is `parts`: one row per evaluation, metric and item, such that a metric is
// sum(numerator) / sum(denominator) over its items, whether it is an accuracy or bits per byte. Estimates, standard errors
// and resampling all work on that one form.

import { canonicalJson } from "../util/canonical-json.ts";
import { UserError } from "../util/errors.ts";
import type { ReportDatabase } from "./db.ts";
import { type Evaluation, isDiverged, type Runs, type Training } from "./inputs.ts";
import { macroTasks, normalizedTasks } from "./metrics.ts";

/** Rounding only: the evaluation summed the same rows in another order. */
const AGREEMENT = 1e-9;

const ITEM_COLUMNS = "task, subtask, item_id, cluster, num_choices, credit, correct_norm, tie";
const DOCUMENT_COLUMNS = "split, document, nats, bytes";
const CURVE_COLUMNS = "{step: 'BIGINT', tokens: 'BIGINT', loss: 'DOUBLE', val_bits_per_byte: 'DOUBLE'}";

/** Fills `trainings`, `evaluations`, `benchmarks`, `arms`, `curves`, `items`, `documents`, `parts` and `scores`. */
export async function loadRuns(database: ReportDatabase, runs: Runs): Promise<void> {
  await createTrainings(database, runs);
  await createEvaluations(database, runs);
  await createBenchmarks(database, runs);
  await database.create("arms", { arm: "VARCHAR", position: "INTEGER", control: "BOOLEAN" }, [
    ...runs.arms.map((arm, position) => ({ arm, position, control: false })),
    ...runs.controls.map((arm, index) => ({ arm, position: runs.arms.length + index, control: true })),
  ]);
  await database.run(`
    CREATE TABLE curves (training INTEGER, step BIGINT, tokens BIGINT, loss DOUBLE, val_bits_per_byte DOUBLE);
    CREATE TABLE items (evaluation INTEGER, task VARCHAR, subtask VARCHAR, item VARCHAR, cluster VARCHAR,
                        num_choices INTEGER, credit DOUBLE, correct_norm DOUBLE, tie BOOLEAN);
    CREATE TABLE documents (evaluation INTEGER, split VARCHAR, document INTEGER, nats DOUBLE, bytes DOUBLE)`);
  for (const [index, { artifact }] of runs.trainings.entries()) {
    const from = `read_json($FILE, format = 'newline_delimited', columns = ${CURVE_COLUMNS})`;
    await database.load("curves", artifact.path("metrics.jsonl"), `SELECT ${index}, * FROM ${from}`);
  }
  for (const [index, { artifact }] of runs.evaluations.entries()) {
    const select = (columns: string) => `SELECT ${index}, ${columns} FROM read_parquet($FILE)`;
    await database.load("items", artifact.path("items.parquet"), select(ITEM_COLUMNS));
    await database.load("documents", artifact.path("documents.parquet"), select(DOCUMENT_COLUMNS));
  }
  await createParts(database);
  await checkAgainstMetrics(database, runs.evaluations);
}

async function createTrainings(database: ReportDatabase, { trainings }: Runs): Promise<void> {
  await database.create(
    "trainings",
    {
      training: "INTEGER",
      arm: "VARCHAR",
      seed: "VARCHAR",
      stage: "VARCHAR",
      digest: "VARCHAR",
      status: "VARCHAR",
      reason: "VARCHAR",
      parameters: "BIGINT",
      steps: "BIGINT",
      tokens: "BIGINT",
      flops: "DOUBLE",
      train_loss: "DOUBLE",
      model: "JSON",
      settings: "JSON",
    },
    trainings.map((run, training) => trainingRow(run, training)),
  );
}

function trainingRow({ arm, seed, artifact, summary, config }: Training, training: number) {
  // What the model is stands in its own column; a training's own seed differs by design.
  const { model: _model, seed: _seed, ...settings } = config.training;
  return {
    training,
    arm,
    seed: seed === undefined ? null : String(seed),
    stage: artifact.stage,
    digest: artifact.digest,
    status: summary.status,
    reason: summary.reason,
    parameters: config.parameters,
    steps: summary.steps,
    tokens: summary.tokens,
    flops: summary.flops,
    train_loss: summary.train_loss,
    model: canonicalJson(config.model),
    settings: canonicalJson(settings),
  };
}

async function createEvaluations(database: ReportDatabase, { trainings, evaluations }: Runs): Promise<void> {
  await database.create(
    "evaluations",
    {
      evaluation: "INTEGER",
      arm: "VARCHAR",
      seed: "VARCHAR",
      stage: "VARCHAR",
      digest: "VARCHAR",
      protocol: "VARCHAR",
      training: "INTEGER",
      parameters: "BIGINT",
      diverged: "BOOLEAN",
    },
    evaluations.map((run, evaluation) => ({
      evaluation,
      arm: run.arm,
      seed: run.seed === undefined ? null : String(run.seed),
      stage: run.artifact.stage,
      digest: run.artifact.digest,
      protocol: run.metrics.protocol,
      training: run.training ? trainings.indexOf(run.training) : null,
      parameters: run.metrics.subject.kind === "model" ? run.metrics.subject.parameters : null,
      diverged: isDiverged(run),
    })),
  );
}

/** What an evaluation says of each benchmark beside its rows: the harness's accuracy, ties and remarks on the data. */
async function createBenchmarks(database: ReportDatabase, { evaluations }: Runs): Promise<void> {
  await database.create(
    "benchmarks",
    { evaluation: "INTEGER", metric: "VARCHAR", accuracy: "DOUBLE", ties: "INTEGER", note: "VARCHAR" },
    evaluations.flatMap((run, evaluation) =>
      Object.entries(run.metrics.benchmarks).map(([metric, { accuracy, ties, note }]) => ({
        ...{ evaluation, metric, ties, note: note ?? null },
        accuracy: typeof accuracy === "number" ? 100 * accuracy : null,
      })),
    ),
  );
}

const sqlList = (names: readonly string[]) => names.map((name) => `'${name}'`).join(", ");

async function createParts(database: ReportDatabase): Promise<void> {
  await database.run(`
    -- Weight of an item: 1, or 1 / size of its subtask where the figure is a plain mean over subtasks.
    CREATE TABLE weighted AS SELECT *,
      CASE WHEN task IN (${sqlList(macroTasks)}) THEN 1.0 / count(*) OVER (PARTITION BY evaluation, task, subtask)
           ELSE 1.0 END AS weight
      FROM items;
    CREATE TABLE parts AS
      SELECT evaluation, task AS metric, cluster, item, 100 * weight * credit AS numerator, weight AS denominator
        FROM weighted
      UNION ALL
      SELECT evaluation, task || '_norm', cluster, item, 100 * weight * correct_norm, weight
        FROM weighted WHERE task IN (${sqlList(normalizedTasks)})
      UNION ALL
      SELECT evaluation, CASE split WHEN 'validation' THEN 'val' ELSE split END || '_bits_per_byte',
             document::VARCHAR, document::VARCHAR, nats / ln(2), bytes
        FROM documents;
    -- One figure per evaluation and metric; NULL where any item has no finite score.
    CREATE TABLE scores AS
      SELECT evaluation, metric, CASE WHEN count(numerator) = count(*) THEN sum(numerator) / sum(denominator) END AS value,
             count(*) AS items
        FROM parts GROUP BY evaluation, metric ORDER BY evaluation, metric;
    CREATE TABLE chance AS
      SELECT task AS metric, 100 * sum(weight / num_choices) / sum(weight) AS value FROM weighted GROUP BY task
      UNION ALL
      SELECT task || '_norm', 100 * sum(weight / num_choices) / sum(weight)
        FROM weighted WHERE task IN (${sqlList(normalizedTasks)}) GROUP BY task;
    DROP TABLE weighted`);
}

/** The rows must give the figures that the evaluation itself wrote down; a report rests on rows alone. */
async function checkAgainstMetrics(database: ReportDatabase, evaluations: readonly Evaluation[]): Promise<void> {
  for (const row of await database.query("SELECT evaluation, metric, value FROM scores ORDER BY evaluation, metric")) {
    const { artifact, metrics } = evaluations[row["evaluation"] as number]!;
    const stated = statedValue(metrics, row["metric"] as string);
    const value = row["value"] as number | null;
    if (stated === undefined || stated === null || value === null) continue;
    if (Math.abs(value - stated) <= AGREEMENT * Math.max(1, Math.abs(stated))) continue;
    throw new UserError(`${artifact.stage} states ${row["metric"]} = ${stated}, but its rows give ${value}.`, {
      code: "EVALUATION_DISAGREES",
      where: { file: artifact.path("metrics.json") },
      hint: "Its files do not belong together. `stlm-pipeline audit` checks their bytes; `repro --force` evaluates again.",
      exitCode: 3,
    });
  }
}

function statedValue(metrics: Evaluation["metrics"], metric: string): number | null | undefined {
  if (metric === "val_bits_per_byte") return metrics.validation?.bitsPerByte;
  if (metric === "test_bits_per_byte") return metrics.test?.bitsPerByte;
  const split = metrics.benchmarks[metric]?.accuracySplit;
  return typeof split === "number" ? 100 * split : split;
}
