// Fetches a data set: out of the package, from a local folder, or over HTTP, verified by SHA-256.

import { z } from "zod";
import { datasetChoiceSchema, expandChoice, ownPaths, passedOver } from "../src/data/datasets/choice.ts";
import { acquireDataset } from "../src/data/download/acquire.ts";
import { defineStage } from "../src/pipeline/stage.ts";

export default defineStage({
  doc: "Fetch a data set and verify its bytes.",
  inputs: {},
  params: z.strictObject({
    dataset: datasetChoiceSchema.describe(
      "A name, { path }, { url, sha256 }, { name, files }, or a list of these: a mix.",
    ),
  }),
  outputs: { dataset: "dataset" },
  determinism: "external",
  reads: ({ dataset }, root) => ownPaths(dataset, root),

  async run({ params, outputs, work, dataDir, root, signal, log }) {
    const lab = root ?? process.cwd();
    const dataset = expandChoice(params.dataset, lab);
    for (const warning of passedOver(params.dataset, lab)) log.warn(warning);
    const environment = process.env;
    await acquireDataset(dataset, outputs.dataset.path(), { work, dataDir, lab: root, environment, signal, log });
    log.info(`${dataset.name}: ${dataset.files.length} files, licence ${dataset.license}`);
  },
});
