// The JSON schema that editors check pipeline.yaml by: it must accept what the loader accepts, and underline typing errors.

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { pipelineJsonSchema } from "../../src/pipeline/json-schema.ts";
import type { StageModule } from "../../src/pipeline/modules.ts";
import { defineStage } from "../../src/pipeline/stage.ts";
import { packageRoot } from "../../src/util/package-root.ts";

const definition = defineStage({
  doc: "Trains a model.",
  inputs: {},
  params: z.strictObject({
    steps: z.int().min(1).describe("Updates of the weights"),
    split: z.strictObject({ test: z.number().default(0.1) }).optional(),
  }),
  outputs: { model: "model" },
  determinism: "bitwise",
  run: async () => {},
});
const code = { bundle: "sha256:0", native: {}, packages: {} } as const;
const module = { use: "train", file: "train.ts", definition, code, nativeFiles: {}, bundleFile: "" } as const;
const schema = pipelineJsonSchema([module as unknown as StageModule]);

/** A validator of a part of the schema. The conditions of `allOf`, which zod cannot read, are looked at by themselves. */
function accepts(part: unknown, value: unknown): boolean {
  const plain = JSON.parse(JSON.stringify(part, (key, member) => (key === "allOf" ? undefined : member)));
  return z.fromJSONSchema(plain).safeParse(value).success;
}

function members(part: unknown, ...names: string[]): Record<string, unknown> {
  return names.reduce((here, name) => here[name] as Record<string, unknown>, part as Record<string, unknown>);
}

test("the package's own pipeline.yaml fits, and a typing error in any of its keys does not", () => {
  const own = parse(readFileSync(path.join(packageRoot(), "pipeline.yaml"), "utf8"));
  delete own.params.train; // fits the real module, not the one above
  expect(accepts(schema, own)).toBe(true);
  expect(accepts(schema, { ...own, profle: "nano" })).toBe(false);
  expect(accepts(schema, { ...own, stages: { corpus: { use: "download", input: {} } } })).toBe(false);
  const [name, claim] = Object.entries(own.hypotheses)[0] as [string, Record<string, unknown>];
  expect(accepts(schema, { ...own, hypotheses: { [name]: { ...claim, direction: "down" } } })).toBe(false);
});

test("a stage's parameters complete where it is used and where they are shared, none is required, and any may be an expression", () => {
  const [condition] = members(schema, "properties", "stages", "additionalProperties")["allOf"] as unknown[];
  expect(members(condition, "if", "properties")).toEqual({ use: { const: "train" } });
  for (const params of [
    members(condition, "then", "properties", "params"),
    members(schema, "properties", "params", "properties", "train"),
  ]) {
    expect(params["description"]).toBe("Trains a model.");
    for (const good of [{}, { steps: 5 }, { steps: "${train.steps}", split: { test: "${share}" } }]) {
      expect(accepts(params, good), JSON.stringify(good)).toBe(true);
    }
    for (const bad of [{ stepz: 5 }, { steps: "many" }, { steps: 0 }, { split: { tset: 0.1 } }]) {
      expect(accepts(params, bad), JSON.stringify(bad)).toBe(false);
    }
  }
});
