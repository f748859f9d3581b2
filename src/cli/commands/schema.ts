// `schema`: the JSON schema of pipeline.yaml.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pipelineJsonSchema } from "../../pipeline/json-schema.ts";
import { loadStageModule } from "../../pipeline/modules.ts";
import { packageRoot } from "../../util/package-root.ts";
import { printJson } from "../output.ts";

/** The stage modules of the package and of the lab. */
export async function schema(options: { directory: string; write?: string }): Promise<number> {
  const root = path.resolve(options.directory);
  const names = new Set([...stageNames(path.join(packageRoot(), "stages")), ...stageNames(path.join(root, "stages"))]);
  const modules = await Promise.all([...names].sort().map((use) => loadStageModule({ root, use })));
  const document = pipelineJsonSchema(modules);
  if (options.write === undefined) printJson(document);
  else {
    mkdirSync(path.dirname(path.resolve(options.write)), { recursive: true });
    writeFileSync(options.write, `${JSON.stringify(document, null, 2)}\n`);
  }
  return 0;
}

function stageNames(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => /\.(ts|mts|mjs|js)$/.test(file) && !file.endsWith(".d.ts"))
    .map((file) => path.parse(file).name);
}
