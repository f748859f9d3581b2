// A small lab in a temporary folder and the compiled command line in it: a few kilobytes of text, two models of one
// layer, a handful of steps.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { packageRoot } from "../../src/util/package-root.ts";

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StageState {
  readonly id: string;
  readonly state: string;
  readonly key?: string;
  readonly outputs?: Readonly<Record<string, string>>;
}

const TINY_PIPELINE = `profile: tiny
params:
  corpus: { dataset: { path: texts, template: "{text}" } }
  benchmarks: { dataset: bundled-benchmarks }
  tokens: { tokenizer: bpe, vocabSize: 400, split: { validation: 0.2, test: 0.2 } }
  models:
    wide: { contextWindow: 16, hiddenDim: 16, numLayers: 1, numHeads: 2, numKvHeads: 1, ffnDim: 32 }
    flat: { extends: wide, positions: learned, ffn: gelu, ffnDim: 48 }
  train:
    { steps: 8, batchTokens: 64, learningRate: 0.01, minLearningRate: 0.001, warmupSteps: 2, evalEvery: 4, evalTokens: 64, checkpointEvery: 2 }
  evaluate: { maxItems: 4 }
  controls: { maxItems: 4 }
  report: { resamples: 200 }
profiles:
  tiny: {}
stages:
  corpus: { use: download }
  benchmarks: { use: download }
  tokens: { use: tokenize, inputs: { corpus: corpus } }
  shards: { use: shard, inputs: { tokens: tokens } }
  train:
    use: train
    matrix: { model: [wide, flat], seed: [1, 2] }
    inputs: { shards: shards }
    params: { model: "\${models.\${model}}" }
  evaluate:
    use: evaluate
    matrix: { model: [wide, flat], seed: [1, 2] }
    inputs: { model: "train[model=\${model},seed=\${seed}]", shards: shards, tokenizer: tokens, benchmarks: benchmarks }
  controls:
    use: evaluate
    matrix: { control: [uniform, unigram] }
    inputs: { shards: shards, tokenizer: tokens, benchmarks: benchmarks }
    params: { control: "\${control}" }
  report:
    use: report
    inputs: { runs: "evaluate[*]", controls: "controls[*]", curves: "train[*]", shards: shards }
hypotheses:
  wide-is-better:
    claim: Rotary positions and SwiGLU give lower validation bits per byte than learned positions and GELU.
    treatment: { model: wide }
    control: { model: flat }
    metric: val_bits_per_byte
    direction: lower
    smallestEffect: 0.01
`;

export class LabRig {
  private constructor(readonly folder: string) {}

  static create(options: { pipeline?: string; folder?: string } = {}): LabRig {
    const folder = options.folder ?? mkdtempSync(path.join(tmpdir(), "stlm-lab-"));
    const rig = new LabRig(folder);
    mkdirSync(path.join(folder, "texts"), { recursive: true });
    rig.write("texts/stories.jsonl", someStories(24, 600));
    rig.write("pipeline.yaml", options.pipeline ?? TINY_PIPELINE);
    return rig;
  }

  /** A lab that is there already. */
  static open(folder: string): LabRig {
    return new LabRig(folder);
  }

  path(...parts: string[]): string {
    return path.join(this.folder, ...parts);
  }

  write(file: string, text: string): void {
    writeFileSync(this.path(file), text);
  }

  read(file: string): string {
    return readFileSync(this.path(file), "utf8");
  }

  edit(file: string, from: string, to: string): void {
    const text = this.read(file);
    if (!text.includes(from)) throw new Error(`${file} does not hold ${from}`);
    this.write(file, text.replace(from, to));
  }

  /** Starts the command line in a process group of its own. */
  start(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const entry = path.join(packageRoot(), "dist", "src", "cli", "main.js");
    if (!existsSync(entry)) throw new Error("dist/ is not built: run `make build`");
    const child = spawn(process.execPath, [entry, ...args], {
      cwd: this.folder,
      env: { ...process.env, NO_COLOR: "1", ...environment },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data) => {
      stdout += data;
    });
    child.stderr.on("data", (data) => {
      stderr += data;
    });
    const ended = new Promise<CliResult>((resolve) => {
      child.on("close", (code) => resolve({ code, stdout, stderr }));
    });
    return { child, ended, errorText: () => stderr };
  }

  cli(...args: string[]): Promise<CliResult> {
    return this.start(args).ended;
  }

  /** `repro --json`, which must succeed: the state of each stage. */
  async repro(...args: string[]): Promise<Record<string, string>> {
    const result = await this.cli("repro", "--json", ...args);
    if (result.code !== 0) throw new Error(`repro ended with ${result.code}:\n${result.stderr}\n${result.stdout}`);
    const { stages } = JSON.parse(result.stdout) as { stages: StageState[] };
    return Object.fromEntries(stages.map((stage) => [stage.id, stage.state]));
  }

  /** Whether a training has saved a checkpoint that a later run can go on from. */
  hasCheckpoint(): boolean {
    try {
      const names = readdirSync(this.path("artifacts", "work"), { recursive: true });
      return names.some((name) => /checkpoints.step-\d+$/.test(`${name}`));
    } catch {
      return false; // not there yet, or it changed while it was read
    }
  }

  /** Digest of each file of `reports/` by its relative path. */
  reports(): Record<string, string> {
    return digests(this.path("reports"));
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The ids whose state is one of these. */
export function withState(states: Readonly<Record<string, string>>, ...wanted: string[]): string[] {
  return Object.keys(states).filter((id) => wanted.includes(states[id]!));
}

export function digests(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  const digest = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex");
  return Object.fromEntries(files.map((file) => [path.relative(folder, file), digest(file)]));
}

/** The beginnings of bundled stories, as JSON lines. */
function someStories(count: number, characters: number): string {
  const file = path.join(packageRoot(), "assets", "data", "stories.jsonl.gz");
  const lines = gunzipSync(readFileSync(file)).toString("utf8").split("\n").slice(0, count);
  const texts = lines.map((line) => (JSON.parse(line) as { text: string }).text.slice(0, characters));
  return texts.map((text) => `${JSON.stringify({ text })}\n`).join("");
}
