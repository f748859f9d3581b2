// `status`: what is fresh, what is cached, what would run: the plan, not a guess.

import { type LabOptions, openLab } from "../lab.ts";
import { columns, print, printJson } from "../output.ts";
import { type DeviceChoice, planLab, planRows, planSummary } from "../planning.ts";

export async function status(options: LabOptions & { readonly device: DeviceChoice }): Promise<number> {
  const lab = await openLab(options);
  const plan = await planLab(lab, { device: options.device });
  if (options.json) {
    printJson({ profile: lab.pipeline.profile, stages: planRows(plan) });
    return 0;
  }
  print(columns(planRows(plan).map(({ state, id, reason }) => [state, id, reason])));
  print(planSummary(plan));
  return 0;
}
