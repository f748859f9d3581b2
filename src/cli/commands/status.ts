// `status`: what is fresh, what is cached, what would run: the plan, not a guess.

import { UserError } from "../../util/errors.ts";
import { type LabOptions, openLab } from "../lab.ts";
import { columns, print, printJson } from "../output.ts";
import { planLab, planRows, planSummary } from "../planning.ts";

export async function status(options: LabOptions): Promise<number> {
  const lab = await openLab(options);
  const plan = await planLab(lab, { device: "auto" });
  if (options.json) {
    printJson({ profile: lab.pipeline.profile, stages: planRows(plan) });
    return 0;
  }
  if (plan.nodes.length === 0) throw new UserError("pipeline.yaml has no stages.", { code: "NO_STAGES" });
  print(columns(planRows(plan).map(({ state, id, reason }) => [state, id, reason])));
  print(planSummary(plan));
  return 0;
}
