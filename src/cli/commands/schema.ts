// `schema`: the JSON schema of pipeline.yaml.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pipelineJsonSchema } from "../../pipeline/json-schema.ts";
import { loadStageModule, stageModuleNames } from "../../pipeline/modules.ts";
import { printJson } from "../output.ts";

/** The stage modules of the package and of the lab. */
export async function schema(options: { directory: string; write?: string }): Promise<number> {
  const root = path.resolve(options.directory);
  const modules = await Promise.all(stageModuleNames(root).map((use) => loadStageModule({ root, use })));
  const document = pipelineJsonSchema(modules);
  if (options.write === undefined) printJson(document);
  else {
    mkdirSync(path.dirname(path.resolve(options.write)), { recursive: true });
    writeFileSync(options.write, `${JSON.stringify(document, null, 2)}\n`);
  }
  return 0;
}
