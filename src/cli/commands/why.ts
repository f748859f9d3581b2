// `why STAGE`: the differences between the key's preimage now and at the last run, field by field.

import { selectNodes } from "../../pipeline/selection.ts";
import { explain, renderExplanation } from "../../pipeline/why.ts";
import { type LabOptions, openLab } from "../lab.ts";
import { print, printJson } from "../output.ts";
import { type DeviceChoice, planLab } from "../planning.ts";

export async function why(stage: string, options: LabOptions & { readonly device: DeviceChoice }): Promise<number> {
  const lab = await openLab(options);
  const nodes = selectNodes(lab.pipeline, stage);
  const plan = await planLab(lab, { device: options.device });
  const explanations = nodes.map((node) => explain(node, plan, lab.store));
  if (options.json) printJson(explanations);
  else print(explanations.map(renderExplanation).join("\n"));
  return 0;
}
