// The package's own pipeline.yaml under each of its profiles.

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { countParameters, modelConfigSchema } from "../../src/models/config.ts";
import { type PresetName, presets } from "../../src/models/presets.ts";
import { loadPipeline } from "../../src/pipeline/config.ts";
import { loadStageModule } from "../../src/pipeline/modules.ts";
import { packageRoot } from "../../src/util/package-root.ts";

const artifacts = mkdtempSync(path.join(os.tmpdir(), "stlm-profiles-"));
afterAll(() => rmSync(artifacts, { recursive: true }));

/** The preset of each profile's baseline, and its models' parameters in the order of the paper's table 2. */
const PROFILES: Readonly<Record<string, { readonly preset: PresetName; readonly parameters: readonly number[] }>> = {
  nano: { preset: "nano-64", parameters: [447_040, 447_040, 455_232, 447_040, 447_040] },
  "10m": { preset: "stlm-10m", parameters: [9_639_168, 9_639_168, 9_770_240, 9_639_168, 9_639_168] },
  "50m": { preset: "stlm-50m", parameters: [49_857_536, 49_857_536, 50_119_680, 49_857_536, 49_857_536] },
  "100m": { preset: "stlm-100m", parameters: [99_658_752, 99_658_752, 100_051_968, 99_658_752, 99_658_752] },
};

async function load(profile: string) {
  const root = packageRoot();
  const loadModule = (use: string) => loadStageModule({ root, use, artifacts });
  const { nodes } = await loadPipeline({ file: path.join(root, "pipeline.yaml"), profile, loadModule });
  const vocabSize = Number(nodes.find(({ name }) => name === "tokens")!.params["vocabSize"]);
  const models = nodes
    .filter(({ name, matrix }) => name === "train" && matrix["seed"] === 1)
    .map(({ matrix, params }) => ({ name: matrix["model"], config: modelConfigSchema.parse(params["model"]) }));
  return { vocabSize, models };
}

test.each(Object.entries(PROFILES))("profile %s trains the models that it says", async (profile, expected) => {
  const { vocabSize, models } = await load(profile);
  expect(models.map(({ name }) => name)).toEqual(["baseline", "sincos", "learned", "simple-ffn", "dropout-free"]);
  expect(models.map(({ config }) => countParameters({ ...config, vocabSize }))).toEqual(expected.parameters);
  const asserted = models.map(({ config }) => config.parameters);
  expect(asserted).toEqual(profile === "nano" ? asserted.map(() => undefined) : expected.parameters);

  const { parameters: _, ...baseline } = models[0]!.config;
  expect({ ...baseline, vocabSize }).toEqual(presets[expected.preset].config);
});
