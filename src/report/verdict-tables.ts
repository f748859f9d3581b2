// Verdicts as tables of the database, so that they are printed and cited like every other number.

import type { ReportDatabase } from "./db.ts";
import { agrees, type Runs } from "./inputs.ts";
import { metrics } from "./metrics.ts";
import type { Verdict } from "./verdict.ts";

/** Creates `verdicts`, `pairs` and `claim_arms`: the tables behind tables/hypotheses.ts, pairs.ts and arms.ts. */
export async function createVerdicts(
  database: ReportDatabase,
  runs: Runs,
  verdicts: readonly Verdict[],
): Promise<void> {
  await database.create(
    "verdicts",
    {
      name: "VARCHAR",
      metric: "VARCHAR",
      direction: "VARCHAR",
      pairs: "INTEGER",
      effect: "DOUBLE",
      seedCenter: "DOUBLE",
      seedLow: "DOUBLE",
      seedHigh: "DOUBLE",
      jointCenter: "DOUBLE",
      jointLow: "DOUBLE",
      jointHigh: "DOUBLE",
      p: "DOUBLE",
      mde: "DOUBLE",
      smallestEffect: "DOUBLE",
      digits: "INTEGER",
      verdict: "VARCHAR",
      digests: "VARCHAR[]",
      position: "INTEGER",
    },
    verdicts.map(({ hypothesis, verdict, pairs, effect, seeds, joint, p, minimumDetectable, digests }, position) => ({
      ...{ name: hypothesis.name, metric: hypothesis.metric, direction: hypothesis.direction },
      ...{ pairs: pairs.length, effect, p, mde: minimumDetectable, smallestEffect: hypothesis.smallestEffect },
      ...{ seedCenter: seeds && effect, seedLow: seeds?.low, seedHigh: seeds?.high },
      ...{ jointCenter: joint && effect, jointLow: joint?.low, jointHigh: joint?.high },
      ...{ verdict, digests, position, digits: metrics[hypothesis.metric].effectDigits },
    })),
  );
  await database.create(
    "pairs",
    {
      name: "VARCHAR",
      pair: "VARCHAR",
      treatment: "DOUBLE",
      control: "DOUBLE",
      difference: "DOUBLE",
      onlyTreatment: "INTEGER",
      onlyControl: "INTEGER",
      mcnemar: "DOUBLE",
      digits: "INTEGER",
      digests: "VARCHAR[]",
      position: "INTEGER",
    },
    verdicts
      .flatMap(({ hypothesis: { name, metric }, pairs }) => pairs.map((pair) => ({ name, metric, pair })))
      .map(({ name, metric, pair: { label, discordant, ...numbers } }, position) => ({
        ...{ name, pair: label, position, digits: metrics[metric].effectDigits },
        ...numbers,
        ...{ onlyTreatment: discordant?.treatment, onlyControl: discordant?.control, mcnemar: discordant?.p },
      })),
  );
  await database.create(
    "claim_arms",
    { arm: "VARCHAR", name: "VARCHAR", position: "INTEGER" },
    verdicts.flatMap(({ hypothesis: { name, treatment, control } }, position) => {
      const serving = runs.trainings.filter(({ axes }) => agrees(treatment, axes) || agrees(control, axes));
      return [...new Set(serving.map(({ arm }) => arm))].map((arm) => ({ arm, name, position }));
    }),
  );
}
