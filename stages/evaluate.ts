// The evaluate stage: bits per byte of the held-out splits and the accuracy on every benchmark, of one model or of a
// control that cannot know anything.

import { writeFileSync } from "node:fs";
import { z } from "zod";
import { openBackend } from "../src/backend/index.ts";
import { openShards } from "../src/data/shards.ts";
import { loadTokenizer } from "../src/data/tokenizers/index.ts";
import { benchmarkNames } from "../src/eval/benchmarks/index.ts";
import { controlNames } from "../src/eval/controls.ts";
import { readBenchmarks } from "../src/eval/dataset.ts";
import { examine } from "../src/eval/examine.ts";
import { protocolNames } from "../src/eval/item.ts";
import { writeDocuments, writeItems } from "../src/eval/items.ts";
import { openControl, openModel } from "../src/eval/subject.ts";
import { defineStage } from "../src/pipeline/stage.ts";
import { prettyCanonicalJson } from "../src/util/canonical-json.ts";
import { UserError } from "../src/util/errors.ts";

const params = z.strictObject({
  protocol: z
    .enum(protocolNames)
    .default("harness")
    .describe("How benchmarks are worded and scored: as lm-evaluation-harness does, or as the paper's own code"),
  control: z
    .enum(controlNames)
    .optional()
    .describe("Evaluate this instead of a model: equal odds for all ids, or the ids' frequencies in training"),
  tasks: z.array(z.enum(benchmarkNames)).optional().describe("Only these benchmarks; all that can be scored if absent"),
  precision: z.enum(["f32", "bf16"]).optional().describe("In what the model computes; f32 if absent"),
  maxItems: z.int().min(1).optional().describe("At most so many items of each benchmark, drawn by their ids"),
});

export default defineStage({
  doc: "Measure bits per byte on held-out text and accuracy on benchmarks, of a model or of a control.",
  inputs: { model: "model?", shards: "shards", tokenizer: "tokenizer", benchmarks: "dataset" },
  params,
  outputs: { evaluation: "evaluation" },
  determinism: "bitwise",
  device: true,
  precision: (params) => params.precision ?? "f32",

  async run({ params, inputs, outputs, device, threads, signal, log }) {
    const { protocol, control, tasks, maxItems } = params;
    if ((inputs.model === undefined) === (control === undefined)) throw notOneSubject(control);
    const tokenizer = loadTokenizer(inputs.tokenizer.path());
    const shards = openShards(inputs.shards.path());
    const options = { threads, precision: params.precision ?? "f32", warn: log.warn, inform: log.info } as const;
    const backend = control === undefined ? await openBackend(device, options) : undefined;
    try {
      if (shards.manifest.tokenizer !== tokenizer.digest) throw otherTokenizer();
      const benchmarks = await readBenchmarks(inputs.benchmarks.path(), { protocol, tasks, maxItems });
      for (const [name, reason] of Object.entries(benchmarks.skipped)) log.info(`${name} is skipped: ${reason}`);
      const subject = backend
        ? await openModel(inputs.model!.path(), backend, tokenizer.digest)
        : await openControl(control!, shards.split("train"), tokenizer.vocabSize, signal);
      const { metrics, items, documents } = await examine(subject, {
        protocol,
        tokenizer,
        shards,
        benchmarks,
        signal,
        log,
      });
      await writeItems(outputs.evaluation.path("items.parquet"), items);
      await writeDocuments(outputs.evaluation.path("documents.parquet"), documents);
      writeFileSync(outputs.evaluation.path("metrics.json"), prettyCanonicalJson(metrics));
      if (backend) log.measure("device", backend.info.description);
      if (backend) log.measure("peak_bytes", backend.memory().peakBytes);
    } finally {
      backend?.close();
      shards.close();
    }
  },
});

function notOneSubject(control: string | undefined): UserError {
  const problem = control === undefined ? "neither a model nor a control" : `a model and the control "${control}"`;
  return new UserError(`The evaluate stage is given ${problem}, and it evaluates exactly one of them.`, {
    code: "NOT_ONE_SUBJECT",
    where: { path: control === undefined ? "inputs.model" : "params.control" },
    hint: `Give it the input "model", or set the parameter "control" to one of: ${controlNames.join(", ")}.`,
  });
}

function otherTokenizer(): UserError {
  return new UserError("The shards hold the ids of another tokenizer than the one given.", {
    code: "TOKENIZER_MISMATCH",
    where: { path: "inputs.tokenizer" },
    hint: "Give the evaluate stage the tokenizer that the shards were made with.",
  });
}
