// A lab: the folder of a pipeline.yaml and its artifacts/.

import path from "node:path";
import { loadPipeline } from "../pipeline/config.ts";
import { loadStageModule } from "../pipeline/modules.ts";
import type { Pipeline } from "../pipeline/node.ts";
import { openStore, type Store } from "../store/store.ts";

export interface LabOptions {
  /** The folder of pipeline.yaml. */
  readonly directory: string;
  readonly profile?: string | undefined;
  readonly set?: readonly string[] | undefined;
  readonly json: boolean;
}

export interface Lab {
  readonly pipeline: Pipeline;
  readonly store: Store;
}

export async function openLab(options: LabOptions): Promise<Lab> {
  const root = path.resolve(options.directory);
  const pipeline = await loadPipeline({
    file: path.join(root, "pipeline.yaml"),
    profile: options.profile,
    set: options.set,
    loadModule: (use) => loadStageModule({ root, use }),
  });
  return { pipeline, store: openLabStore(root) };
}

export function openLabStore(directory: string): Store {
  return openStore(path.join(path.resolve(directory), "artifacts"));
}
