// Assembles the report from artifacts alone: README.md, figures and results.json. The same artifacts give the same
// bytes; nothing here knows the time, the machine or who asked.

import { z } from "zod";
import { compare } from "./comparison.ts";
import { createContamination } from "./contamination.ts";
import { ReportDatabase } from "./db.ts";
import { createEstimates } from "./estimates.ts";
import { curveFigure, type Figure, finalFigure } from "./figure.ts";
import { createGuessingTests } from "./guessing.ts";
import type { Hypothesis } from "./hypothesis.ts";
import { type ReportArtifact, type ReportInputs, type Runs, readJson, readRuns } from "./inputs.ts";
import { loadRuns } from "./load.ts";
import { resultsJson } from "./results-json.ts";
import { claimList, headline, limits, negativeResults, outlook, ruleText } from "./sections.ts";
import { type Cell, renderTable, type Table } from "./table.ts";
import { tables } from "./tables/index.ts";
import { decide, type Verdict } from "./verdict.ts";
import { createVerdicts } from "./verdict-tables.ts";

export interface ReportOptions {
  readonly hypotheses: readonly Hypothesis[];
  readonly title: string;
  /** Bootstrap samples behind each interval. */
  readonly resamples: number;
  /** Called before each claim, whose resampling takes longest. */
  readonly onClaim?: ((done: number, total: number) => void) | undefined;
}

/** Text of every file of the report by its path. Throws a UserError for inputs that cannot be read. */
export async function buildReport(inputs: ReportInputs, options: ReportOptions): Promise<Map<string, string>> {
  const runs = readRuns(inputs);
  const database = await ReportDatabase.open();
  try {
    await loadRuns(database, runs);
    await createSplits(database, inputs.shards);
    await createContamination(database, inputs.contamination);
    await createEstimates(database);
    await createGuessingTests(database);
    const verdicts = await reachVerdicts(database, runs, options);
    await createVerdicts(database, runs, verdicts);
    return await compose(database, verdicts, options);
  } finally {
    database.close();
  }
}

async function reachVerdicts(database: ReportDatabase, runs: Runs, options: ReportOptions): Promise<Verdict[]> {
  const claims = [];
  for (const hypothesis of options.hypotheses) {
    options.onClaim?.(claims.length, options.hypotheses.length);
    claims.push({ hypothesis, evidence: await compare(database, runs, hypothesis, options.resamples) });
  }
  return decide(claims);
}

async function compose(
  database: ReportDatabase,
  verdicts: readonly Verdict[],
  { title, resamples }: ReportOptions,
): Promise<Map<string, string>> {
  const cells: Cell[] = [];
  const render = async (table: Table) => {
    const { markdown, cells: own } = await renderTable(database, table);
    cells.push(...own);
    return markdown;
  };
  const figures = [await curveFigure(database), await finalFigure(database)].filter((figure) => figure !== undefined);
  const tested = verdicts.length > 0;
  const sections: (readonly [string, readonly (string | undefined)[]])[] = [
    [`# ${title}`, [await headline(database, verdicts)]],
    [
      "## What was run",
      [
        await render(tables.models),
        await render(tables.training),
        await render(tables.corpus),
        await render(tables.contamination),
      ],
    ],
    [
      "## Results",
      [
        await render(tables.results),
        await render(tables.guessing),
        ...figures.map(figureMarkdown),
        await render(tables.published),
      ],
    ],
    [
      "## Registered claims",
      [
        claimList(verdicts),
        outlook(verdicts),
        await render(tables.hypotheses),
        tested ? ruleText(resamples) : undefined,
        await render(tables.pairs),
      ],
    ],
    ["## Negative results", [await negativeResults(database, verdicts), await render(tables.arms)]],
    ["## Every run and its cost", [await render(tables.runs), await render(tables.cost)]],
    ["## How to audit", [AUDIT]],
    ["## Limits", [await limits(database)]],
  ];
  const blocks = sections
    .map(([heading, parts]) => [heading, ...parts.filter((part) => part !== undefined)])
    .filter((parts) => parts.length > 1)
    .flat();
  return new Map([
    ["README.md", `${blocks.join("\n\n")}\n`],
    ...figures.map(({ file, svg }): [string, string] => [file, svg]),
    ["results.json", resultsJson(cells, verdicts, resamples)],
  ]);
}

const AUDIT = [
  "Each short hash is the beginning of an artifact's digest. `stlm-pipeline audit <hash>` checks its bytes and prints the code, inputs,",
  "parameters and machine that made it, and what it fed. `results.json` lists every number of this page with its uncertainty and the full digests",
  "that it rests on, and `audit` takes a number's `id` too; a mean over seeds rests on one evaluation per seed.",
].join("\n");

function figureMarkdown({ file, alt, caption }: Figure): string {
  return `![${alt}](${file})\n\n*${caption}*`;
}

const manifestSchema = z.object({
  splits: z.record(
    z.string(),
    z.object({ tokens: z.number(), documents: z.number(), bytes: z.number(), characters: z.number() }),
  ),
});
const SPLITS = ["train", "validation", "test"];

async function createSplits(database: ReportDatabase, shards: ReportArtifact | undefined): Promise<void> {
  const splits = shards ? readJson(shards.path("manifest.json"), manifestSchema).splits : {};
  const names = SPLITS.filter((name) => Object.hasOwn(splits, name));
  await database.create(
    "splits",
    {
      split: "VARCHAR",
      documents: "BIGINT",
      tokens: "BIGINT",
      bytes: "BIGINT",
      characters: "BIGINT",
      digest: "VARCHAR",
      position: "INTEGER",
    },
    names.map((split, position) => {
      const { documents, tokens, bytes, characters } = splits[split]!;
      return { split, documents, tokens, bytes, characters, digest: shards!.digest, position };
    }),
  );
}
