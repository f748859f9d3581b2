// `report`: rebuild reports/ from the artifacts that are there. Everything that a report stage reads must be settled;
// this command never trains.

import { upstreamOf } from "../../pipeline/selection.ts";
import { UserError } from "../../util/errors.ts";
import { openLab } from "../lab.ts";
import { planLab } from "../planning.ts";
import { type ReproOptions, runLab } from "./repro.ts";

/** How many of the missing runs are named. */
const SHOWN = 3;

export async function report(options: ReproOptions): Promise<number> {
  const lab = await openLab(options);
  const reports = lab.pipeline.nodes.filter(
    ({ work }) => work.kind === "module" && Object.values(work.module.definition.outputs).includes("report"),
  );
  if (reports.length === 0) {
    throw new UserError("No stage of pipeline.yaml writes a report.", {
      code: "NO_REPORT",
      hint: 'Add one: `report: { use: report, inputs: { runs: "evaluate[*]" } }`.',
    });
  }
  const targets = reports.map((node) => node.id);
  const plan = await planLab(lab, { device: options.device, targets });
  const needed = new Set(reports.flatMap(upstreamOf));
  const open = plan.nodes.filter(
    ({ node, state }) => needed.has(node.id) && (state === "stale" || state === "blocked"),
  );
  if (open.length > 0) {
    const ids = open.map(({ node }) => node.id);
    const shown =
      ids.length > SHOWN ? `${ids.slice(0, SHOWN).join(", ")} and ${ids.length - SHOWN} more` : ids.join(", ");
    throw new UserError(`What the report reads is not there with the present settings: ${shown}.`, {
      code: "NOT_RUN",
      hint: `Run it first: stlm-pipeline repro. What differs from its last run: stlm-pipeline why "${ids[0]}"`,
      exitCode: 1,
    });
  }
  return runLab(lab, targets, options);
}
