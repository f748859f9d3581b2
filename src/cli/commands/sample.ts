// `sample`: text from a trained model.

import path from "node:path";
import { type Backend, openBackend } from "../../backend/index.ts";
import { loadTokenizer } from "../../data/tokenizers/index.ts";
import { loadModel, readModelAbout, trainedPrecision } from "../../models/checkpoint.ts";
import { generate } from "../../models/generate.ts";
import type { Plan } from "../../pipeline/planner.ts";
import { selectNodes, upstreamOf } from "../../pipeline/selection.ts";
import type { ArtifactType } from "../../pipeline/stage.ts";
import { explain } from "../../pipeline/why.ts";
import type { Digest } from "../../util/digest.ts";
import { UserError } from "../../util/errors.ts";
import { type Lab, type LabOptions, openLab } from "../lab.ts";
import { printable, printJson } from "../output.ts";
import { type DeviceChoice, planLab } from "../planning.ts";

interface SampleOptions extends LabOptions {
  readonly tokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  readonly device: DeviceChoice;
}

export async function sample(stage: string, prompt: string, options: SampleOptions): Promise<number> {
  const lab = await openLab(options);
  const [node, ...others] = selectNodes(lab.pipeline, stage);
  if (!node || others.length > 0) {
    throw new UserError(`"${stage}" has several instances; a sample needs one.`, {
      code: "BAD_SELECTION",
      hint: `For example: stlm-pipeline sample "${node!.id}"`,
    });
  }
  const plan = await planLab(lab, { device: options.device, targets: [node.id] });
  const model = findUpstream(lab, plan, node.id, "model");
  const tokenizer = findUpstream(lab, plan, node.id, "tokenizer");
  const folder = lab.store.stagingFolder("sample");
  let backend: Backend | undefined;
  try {
    lab.store.materialise(model, path.join(folder, "model"), { readOnly: true });
    lab.store.materialise(tokenizer, path.join(folder, "tokenizer"), { readOnly: true });
    const precision = trainedPrecision(readModelAbout(path.join(folder, "model")));
    const warn = (text: string) => process.stderr.write(`${text}\n`);
    backend = await openBackend(options.device, { threads: 1, precision, warn });
    const encoder = loadTokenizer(path.join(folder, "tokenizer"));
    const loaded = await loadModel(path.join(folder, "model"), backend);
    const start = Int32Array.from([encoder.endOfText, ...encoder.encode(prompt)]);
    const ids: number[] = [];
    const text = new TextDecoder();
    // A model of bytes says control characters too: a terminal must not act on them.
    const show = (part: string) => void process.stdout.write(printable(part));
    if (!options.json) show(prompt);
    for (const id of generate(loaded.model, backend, start, {
      maxTokens: options.tokens,
      temperature: options.temperature,
      topK: options.topK > 0 ? options.topK : undefined,
      topP: options.topP < 1 ? options.topP : undefined,
      seed: options.seed,
      stopAt: encoder.endOfText,
    })) {
      ids.push(id);
      if (!options.json) show(text.decode(encoder.decodeBytes([id]), { stream: true }));
    }
    if (options.json) printJson({ stage: node.id, model, prompt, text: encoder.decode(ids), ids });
    else show(`${text.decode()}\n`);
    return 0;
  } finally {
    backend?.close();
    lab.store.removeFolder(folder);
  }
}

/** The nearest artifact of a type at or above an instance. */
function findUpstream(lab: Lab, plan: Plan, start: string, type: ArtifactType): Digest {
  const queue = [start];
  for (const id of queue) {
    const { work } = lab.pipeline.byId.get(id)!;
    const outputs = work.kind === "module" ? Object.entries(work.module.definition.outputs) : [];
    const found = outputs.find(([, other]) => other === type);
    const planned = plan.byId.get(id);
    if (found) {
      if (planned && "outputs" in planned) return planned.outputs[found[0]]!;
      throw new UserError(`"${id}" has not run with the present settings.${otherSettings(lab, plan, id)}`, {
        code: "NOT_RUN",
        hint: `Run it first: stlm-pipeline repro "${start}"`,
        exitCode: 1,
      });
    }
    for (const upstream of upstreamOf(lab.pipeline.byId.get(id)!)) if (!queue.includes(upstream)) queue.push(upstream);
  }
  throw new UserError(`Neither "${start}" nor anything that it reads makes a ${type}.`, {
    code: "NO_SUCH_ARTIFACT",
    hint: "Name an instance of a train stage.",
  });
}

/** In what the settings of an instance's own last run differ, or nothing. */
function otherSettings({ pipeline, store }: Lab, plan: Plan, id: string): string {
  const { comparedWith, differences } = explain(pipeline.byId.get(id)!, plan, store);
  if (comparedWith?.stage !== id || differences.length === 0) return "";
  const fields = differences.slice(0, 3).map((difference) => difference.path);
  const more = differences.length > 3 ? ` and ${differences.length - 3} more` : "";
  return ` It ran with others: ${fields.join(", ")}${more} changed since (stlm-pipeline why "${id}"); with the --set of that run it can be used.`;
}
