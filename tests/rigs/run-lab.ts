// Runs the lab named by the first argument and prints every event as a line of JSON: the rig's second process.

import path from "node:path";
import { loadPipeline } from "../../src/pipeline/config.ts";
import { runPipeline } from "../../src/pipeline/executor.ts";
import { loadStageModule } from "../../src/pipeline/modules.ts";
import { openStore } from "../../src/store/store.ts";

const root = process.argv[2]!;
const stop = new AbortController();
process.on("SIGINT", () => stop.abort());
const loadModule = (use: string) => loadStageModule({ root, use });
const result = await runPipeline({
  pipeline: await loadPipeline({ file: path.join(root, "pipeline.yaml"), loadModule }),
  store: openStore(path.join(root, "artifacts")),
  device: "cpu",
  jobs: 2,
  signal: stop.signal,
  graceMs: 500,
  onEvent: (event) => process.stdout.write(`${JSON.stringify(event)}\n`),
});
process.exitCode = result.failed || result.interrupted ? 1 : 0;
