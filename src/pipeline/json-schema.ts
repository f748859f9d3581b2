// The JSON schema of pipeline.yaml, for editors: completion, hover texts and red underlines while typing.

import { z } from "zod";
import { pipelineSchema } from "./config-schema.ts";
import type { StageModule } from "./modules.ts";

type Schema = Record<string, unknown>;

/** Any value may also be written as `${path}`. */
const EXPRESSION: Schema = { type: "string", pattern: "\\$\\{" };

/** Keywords of JSON Schema, as values: an object that spells out a member `then` reads like a promise. */
const CONDITIONAL = { when: "if", apply: "then" } as const;

/**
 * `modules`: the stage modules that `use:` may name. Their parameters complete below `stages.*.params`, and below
 * `params.<name>` where a stage is called as its module.
 */
export function pipelineJsonSchema(modules: readonly StageModule[]): Schema {
  const schema = z.toJSONSchema(pipelineSchema, { io: "input" }) as Schema;
  const properties = schema["properties"] as Record<string, Schema>;
  const stages = properties["stages"]!["additionalProperties"] as Schema;
  const stageProperties = stages["properties"] as Record<string, Schema>;
  stageProperties["use"] = { ...stageProperties["use"], examples: modules.map((module) => module.use) };
  stages["allOf"] = modules.map((module) => ({
    [CONDITIONAL.when]: { properties: { use: { const: module.use } }, required: ["use"] },
    [CONDITIONAL.apply]: { properties: { params: parameters(module) } },
  }));
  const byName = Object.fromEntries(modules.map((module) => [module.use, parameters(module)]));
  properties["params"] = { ...properties["params"], properties: byName };
  return { ...schema, title: "pipeline.yaml of stlm-pipeline" };
}

function parameters(module: StageModule): Schema {
  const schema = z.toJSONSchema(module.definition.params, { io: "input", unrepresentable: "any" }) as Schema;
  return { ...relax(schema), description: module.definition.doc };
}

/** Nothing required (values come from several places), and every value may be an expression. */
function relax(schema: Schema): Schema {
  const { required: _required, $schema: _dialect, ...rest } = schema;
  const properties = rest["properties"] as Record<string, Schema> | undefined;
  if (!properties) return rest;
  const relaxed = Object.entries(properties).map(([key, value]) => {
    const { description, default: fallback, ...bare } = value;
    return [key, { description, default: fallback, anyOf: [relax(bare), EXPRESSION] }];
  });
  return { ...rest, properties: { ...Object.fromEntries(relaxed), extends: { type: "string" } } };
}
