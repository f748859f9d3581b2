// A lab in a temporary folder, run by the real loader, planner and executor: real bundles, real processes, tiny stages.
// (A rig as in google/wireit: src/test/util/test-rig.ts.)

import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { loadPipeline } from "../../src/pipeline/config.ts";
import type { Outcome, RunEvent } from "../../src/pipeline/events.ts";
import { type RunOptions, type RunResult, runPipeline } from "../../src/pipeline/executor.ts";
import { loadStageModule } from "../../src/pipeline/modules.ts";
import type { Pipeline } from "../../src/pipeline/node.ts";
import { type Plan, planPipeline } from "../../src/pipeline/planner.ts";
import { type Explanation, explain } from "../../src/pipeline/why.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { hexOf } from "../../src/util/digest.ts";

/** A stage as pipeline.yaml spells it. */
export type RigStage = Readonly<Record<string, unknown>>;

/** Copies a file of the lab (a name with a dot) or another stage's output. */
export function copy(from: string): RigStage {
  return from.includes(".")
    ? { cmd: `cp ${from} out.txt`, deps: [from], outs: ["out.txt"] }
    : { use: "copy", inputs: { from } };
}

/** Writes its parameter. */
export function text(value: string): RigStage {
  return { use: "text", params: { text: value } };
}

/** Joins the outputs of several instances, `join("b[*]")`. */
export function join(from: string): RigStage {
  return { use: "join", inputs: { from } };
}

const HEAD = `import { readFileSync, writeFileSync, appendFileSync } from "node:fs";\nimport { z } from "zod";\n`;

/** Stage modules that every rig has: they read and write `out.txt`. */
const MODULES: Readonly<Record<string, string>> = {
  "stages/text.ts": `${HEAD}
export default {
  doc: "Writes its parameter.",
  inputs: {},
  params: z.strictObject({ text: z.string() }),
  outputs: { out: "files" },
  determinism: "bitwise",
  async run({ params, outputs }) {
    writeFileSync(outputs.out.path("out.txt"), params.text);
  },
};
`,
  "stages/copy.ts": `${HEAD}
export default {
  doc: "Copies its input.",
  inputs: { from: "files" },
  params: z.strictObject({}),
  outputs: { out: "files" },
  determinism: "bitwise",
  async run({ inputs, outputs }) {
    writeFileSync(outputs.out.path("out.txt"), readFileSync(inputs.from.path("out.txt")));
  },
};
`,
  "stages/join.ts": `${HEAD}
export default {
  doc: "Joins its inputs.",
  inputs: { from: "files[]" },
  params: z.strictObject({}),
  outputs: { out: "files" },
  determinism: "bitwise",
  async run({ inputs, outputs }) {
    for (const input of inputs.from) appendFileSync(outputs.out.path("out.txt"), readFileSync(input.path("out.txt")));
  },
};
`,
};

/** A module with this body of run(); `fields` go before it. Everything that the body uses is imported in `head`. */
export function moduleText(body: string, { fields = "", head = "" } = {}): string {
  return `${HEAD}${head}
export default {
  doc: "A stage of a test.",
  inputs: {},
  params: z.looseObject({}),
  outputs: { out: "files" },
  determinism: "bitwise",
  ${fields}
  async run({ params, inputs, outputs, seed, device, threads, work, dataDir, signal, log }) {
    ${body}
  },
};
`;
}

export interface RigOptions {
  readonly stages: Readonly<Record<string, RigStage>>;
  readonly params?: unknown;
  readonly hypotheses?: unknown;
  readonly files?: Readonly<Record<string, string>>;
}

export type RigRun = Partial<Omit<RunOptions, "store">> & { readonly set?: readonly string[] };

export class PipelineRig {
  /** Of the last run. */
  events: RunEvent[] = [];
  result: RunResult | undefined;

  private constructor(readonly root: string) {}

  static async create(options: RigOptions): Promise<PipelineRig> {
    const rig = new PipelineRig(mkdtempSync(path.join(os.tmpdir(), "stlm-rig-")));
    for (const [name, content] of Object.entries({ ...MODULES, ...options.files })) await rig.write(name, content);
    await rig.setStages(options.stages, options);
    return rig;
  }

  get artifacts(): string {
    return path.join(this.root, "artifacts");
  }

  get store(): Store {
    return openStore(this.artifacts);
  }

  file(...parts: string[]): string {
    return path.join(this.root, ...parts);
  }

  async write(name: string, content: string): Promise<void> {
    mkdirSync(path.dirname(this.file(name)), { recursive: true });
    writeFileSync(this.file(name), content);
  }

  /** Rewrites pipeline.yaml. */
  async setStages(stages: RigOptions["stages"], rest: Omit<RigOptions, "stages" | "files"> = {}): Promise<void> {
    const { params, hypotheses } = rest;
    await this.write("pipeline.yaml", JSON.stringify({ stages, params, hypotheses }, null, 2));
  }

  pipeline(set: readonly string[] = []): Promise<Pipeline> {
    const loadModule = (use: string) => loadStageModule({ root: this.root, use });
    return loadPipeline({ file: this.file("pipeline.yaml"), set, loadModule });
  }

  /** Runs, and says how each instance ended: `{ a: "ran", b: "fresh" }`. */
  async run({ set, ...options }: RigRun = {}): Promise<Record<string, Outcome["type"]>> {
    this.events = [];
    this.result = await runPipeline({
      pipeline: await this.pipeline(set),
      store: this.store,
      device: "cpu",
      jobs: 2,
      onEvent: (event) => this.events.push(event),
      ...options,
    });
    return Object.fromEntries([...this.result.outcomes].map(([id, outcome]) => [id, outcome.type]));
  }

  /** The same run in a process of its own (a group, so that a test may kill the whole tree). */
  spawn(): SpawnedRun {
    const script = fileURLToPath(new URL("run-lab.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import", "tsx", script, this.root], {
      detached: true,
      stdio: ["ignore", "pipe", "inherit"],
    });
    return new SpawnedRun(child);
  }

  /** What a run would do: `{ a: "fresh", b: "stale" }`. */
  async plan({ set, ...options }: RigRun = {}): Promise<Record<string, string>> {
    const plan = await this.fullPlan({ set: set ?? [], ...options });
    return Object.fromEntries(plan.nodes.map((planned) => [planned.node.id, planned.state]));
  }

  async fullPlan({ set, ...options }: RigRun = {}): Promise<Plan> {
    return planPipeline({ pipeline: await this.pipeline(set), store: this.store, device: "cpu", ...options });
  }

  async why(id: string, options: RigRun = {}): Promise<Explanation> {
    const plan = await this.fullPlan(options);
    return explain(plan.byId.get(id)!.node, plan, this.store);
  }

  outcome(id: string): Outcome {
    return this.result!.outcomes.get(id)!;
  }

  /** The text of `out.txt` in an output of the last run, verified on the way. */
  output(id: string, file = "out.txt"): string {
    const outcome = this.outcome(id);
    if (!("outputs" in outcome)) throw new Error(`${id} has no outputs: it ${outcome.type}`);
    const entries = this.store.readTree(Object.values(outcome.outputs)[0]!).entries;
    const found = entries.find((entry) => entry.path === file);
    if (found?.type !== "file") throw new Error(`${id} has no file ${file}`);
    return this.store.readBytes(found.digest).toString("utf8");
  }

  /** Every object that holds exactly these bytes, as absolute files. */
  objectsWith(content: string): string[] {
    return this.filesBelow("artifacts/objects").filter((file) => readFileSync(file, "utf8") === content);
  }

  /** Changes an object behind the store's back. */
  damage(file: string, content: string): void {
    chmodSync(file, 0o644);
    writeFileSync(file, content);
  }

  /** The folder where a stage with this outcome worked, whether or not it is there. */
  workFolder(id: string): string {
    const outcome = this.outcome(id);
    if (!("key" in outcome) || !outcome.key) throw new Error(`${id} has no key`);
    return this.file("artifacts/work", hexOf(outcome.key));
  }

  filesBelow(folder: string): string[] {
    if (!existsSync(this.file(folder))) return [];
    return readdirSync(this.file(folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name))
      .sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** A run in another process, read by the events that it prints. */
export class SpawnedRun {
  readonly events: RunEvent[] = [];
  readonly ended: Promise<number | null>;
  private readonly waiting = new Set<() => void>();

  constructor(private readonly child: ChildProcess) {
    let text = "";
    child.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (text + chunk).split("\n");
      text = lines.pop()!;
      this.events.push(...lines.map((line) => JSON.parse(line) as RunEvent));
      for (const look of this.waiting) look();
    });
    this.ended = new Promise((resolve) => child.on("close", resolve));
  }

  /** Resolves with the first event that fits; fails when the process ends without it. */
  until(fits: (event: RunEvent) => boolean): Promise<RunEvent> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.events.find(fits);
        if (!found) return;
        this.waiting.delete(look);
        resolve(found);
      };
      this.waiting.add(look);
      void this.ended.then((code) => reject(new Error(`The run ended (${code}) before the event`)));
      look();
    });
  }

  /** The executor's process alone. */
  signal(name: NodeJS.Signals): void {
    process.kill(this.child.pid!, name);
  }

  states(): Record<string, string> {
    const outcomes = this.events.filter((event) =>
      ["fresh", "cached", "ran", "failed", "skipped"].includes(event.type),
    );
    return Object.fromEntries(outcomes.map((event) => [event.id, event.type]));
  }
}
