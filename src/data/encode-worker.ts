// The thread that encodes blocks, and how it is started: from the very file that this code runs in, so that inside a
// stage's bundle the worker's code is the stage's code and part of its fingerprint.

import { fileURLToPath } from "node:url";
import { parentPort, Worker, workerData } from "node:worker_threads";
import { type BlockMemory, encodeBlock } from "./encode-block.ts";
import { ByteLevelTokenizer, type Tokenizer } from "./tokenizers/tokenizer.ts";
import { Vocabulary } from "./tokenizers/vocabulary.ts";

const ROLE = "stlm-encode-worker";

interface WorkerData {
  readonly role: typeof ROLE;
  readonly byteOfId: Uint8Array;
  readonly merges: Int32Array;
}

/** Asks for one block. The answer is a message without content, or the worker's end with its error. */
export interface EncodeRequest {
  readonly memory: BlockMemory;
  readonly numParts: number;
}

export async function startEncodeWorker({ vocabulary }: Tokenizer): Promise<Worker> {
  const { byteOfId, merges } = vocabulary;
  // Nothing of how this process was started (loaders, profilers) is for the worker.
  const options = { workerData: { role: ROLE, byteOfId, merges } satisfies WorkerData, execArgv: [] };
  const here = fileURLToPath(import.meta.url);
  return here.endsWith(".ts")
    ? new Worker(await bundledText(here), { ...options, eval: true })
    : new Worker(here, options);
}

let bundled: Promise<string> | undefined;

/** Node 20 starts no worker from TypeScript: where this runs unbuilt, the worker gets a bundle of it. */
function bundledText(file: string): Promise<string> {
  const build = async () => {
    const esbuild = await import("esbuild");
    const options = { bundle: true, write: false, format: "cjs", platform: "node", logLevel: "silent" } as const;
    const { outputFiles } = await esbuild.build({ ...options, entryPoints: [file] });
    return outputFiles[0]!.text;
  };
  bundled ??= build();
  return bundled;
}

function isOurs(data: unknown): data is WorkerData {
  return typeof data === "object" && data !== null && "role" in data && data.role === ROLE;
}

if (parentPort && isOurs(workerData)) {
  const port = parentPort;
  const tokenizer = new ByteLevelTokenizer("bpe", new Vocabulary(workerData.byteOfId, workerData.merges));
  port.on("message", ({ memory, numParts }: EncodeRequest) => {
    encodeBlock(tokenizer, memory, numParts);
    port.postMessage(null);
  });
}
