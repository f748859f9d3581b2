// A lab: the folder of a pipeline.yaml and its artifacts/.

import { existsSync } from "node:fs";
import path from "node:path";
import { loadPipeline } from "../pipeline/config.ts";
import { loadStageModule } from "../pipeline/modules.ts";
import type { Pipeline } from "../pipeline/node.ts";
import { openStore, type Store } from "../store/store.ts";
import { UserError } from "../util/errors.ts";

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
  const pipeline = await withStdoutOnStderr(() =>
    loadPipeline({
      file: pipelineFile(root),
      profile: options.profile,
      set: options.set,
      loadModule: (use) => loadStageModule({ root, use }),
    }),
  );
  if (pipeline.nodes.length === 0) {
    throw new UserError("pipeline.yaml has no stages.", { code: "NO_STAGES", where: { file: pipelineFile(root) } });
  }
  return { pipeline, store: openLabStore(root) };
}

/** For what only looks back. Throws UserError NO_STORE where nothing ever ran. */
export function openPastStore(directory: string): Store {
  const store = openLabStore(directory);
  if (existsSync(store.root)) return store;
  throw new UserError("There is no artifacts/ folder here: nothing has run.", {
    code: "NO_STORE",
    where: { file: store.root },
    hint: "Name the lab with -C <dir>, or run `stlm-pipeline repro` in it first.",
  });
}

export function openLabStore(directory: string): Store {
  return openStore(path.join(path.resolve(directory), "artifacts"));
}

function pipelineFile(root: string): string {
  return path.join(root, "pipeline.yaml");
}

/** What a stage's module prints while it is imported must not get between the results on standard output. */
async function withStdoutOnStderr<T>(load: () => Promise<T>): Promise<T> {
  const { write } = process.stdout;
  process.stdout.write = process.stderr.write.bind(process.stderr);
  try {
    return await load();
  } finally {
    process.stdout.write = write;
  }
}
