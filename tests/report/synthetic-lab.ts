// Artifacts with a known truth, written as the stages write them: what tests of the report read.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type DocumentRow, type ItemRow, writeDocuments, writeItems } from "../../src/eval/items.ts";
import type { Hypothesis } from "../../src/report/hypothesis.ts";
import type { ReportArtifact, Scalar } from "../../src/report/inputs.ts";
import { mean } from "../../src/report/statistics/descriptive.ts";
import { prettyCanonicalJson } from "../../src/util/canonical-json.ts";
import { digestOf } from "../../src/util/digest.ts";
import { CounterRandom, PURPOSE } from "../../src/util/philox.ts";

export interface SyntheticRun {
  readonly matrix: Readonly<Record<string, Scalar>>;
  /** True bits per byte of the run. */
  readonly bits: number;
  /** Share of BLiMP items it gets right; 0.5 is chance. */
  readonly blimp?: number;
  readonly diverged?: boolean;
  /** How many BLiMP items end in a tie. */
  readonly ties?: number;
  /** A remark on the data of HellaSwag. */
  readonly note?: string;
  readonly protocol?: string;
  /** Documents in each held-out split. */
  readonly documents?: number;
  readonly control?: string;
}

/** Paradigms of 3 to 7 items, 200 in all: a plain mean over paradigms is not a mean over items. */
const PARADIGMS = Array.from({ length: 40 }, (_, paradigm) => 3 + (paradigm % 5));
const HELLASWAG_ITEMS = 60;
const MODEL = {
  contextWindow: 128,
  hiddenDim: 128,
  numLayers: 4,
  numHeads: 4,
  numKvHeads: 2,
  ffn: "swiglu",
  ffnDim: 352,
  positions: "rope",
  norm: "rms",
  tied: true,
  bias: false,
  init: "default",
  dropout: 0.1,
  vocabSize: 4096,
};

/** A folder of artifacts that is deleted at the end of its scope. */
export class SyntheticLab implements Disposable {
  private readonly root = mkdtempSync(path.join(tmpdir(), "stlm-report-"));

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  private artifact(stage: string, matrix: SyntheticRun["matrix"], about: unknown): ReportArtifact {
    const axes = Object.entries(matrix).map(([axis, value]) => `${axis}=${value}`);
    const name = axes.length > 0 ? `${stage}[${axes.join(",")}]` : stage;
    const folder = path.join(this.root, name);
    mkdirSync(folder, { recursive: true });
    return {
      digest: digestOf("stlm.synthetic.v1", { name, about }),
      stage: name,
      matrix,
      path: (...parts) => path.join(folder, ...parts),
    };
  }

  model(run: SyntheticRun): ReportArtifact {
    const artifact = this.artifact("train", run.matrix, run);
    const status = run.diverged ? "diverged" : "completed";
    const steps = run.diverged ? 120 : 400;
    const curve = [100, 200, 300, 400]
      .filter((step) => step <= steps)
      .flatMap((step) => [
        { step, tokens: step * 2048, loss: run.bits * 2, lr: 0.003, grad_norm: 1 },
        { step, tokens: step * 2048, val_loss: run.bits * 2, val_bits_per_byte: run.bits + 100 / step - 0.25 },
      ]);
    writeFileSync(artifact.path("metrics.jsonl"), `${curve.map((line) => JSON.stringify(line)).join("\n")}\n`);
    writeFileSync(
      artifact.path("summary.json"),
      prettyCanonicalJson({
        status,
        ...(run.diverged && { reason: "loss rose above 12" }),
        steps,
        tokens: steps * 2048,
        flops: steps * 2048 * 6 * 1_262_720,
        train_loss: run.diverged ? null : run.bits * 2,
        val_loss: null,
        val_bits_per_byte: null,
      }),
    );
    const training = {
      batchTokens: 2048,
      learningRate: 0.003,
      schedule: "cosine",
      steps: 400,
      seed: run.matrix["seed"] ?? 1,
    };
    writeFileSync(
      artifact.path("config.json"),
      prettyCanonicalJson({ model: MODEL, parameters: 1_262_720, tokenizer: "sha256:0", training }),
    );
    return artifact;
  }

  async evaluation(run: SyntheticRun): Promise<ReportArtifact> {
    const artifact = this.artifact(run.control ? "controls" : "evaluate", run.matrix, run);
    const documents = ["validation", "test"].flatMap((split) => documentRows(split, run));
    const items = [...blimpRows(run), ...hellaswagRows(run)];
    await writeDocuments(artifact.path("documents.parquet"), documents);
    await writeItems(artifact.path("items.parquet"), items);
    const subject = run.control
      ? { kind: "control", control: run.control }
      : { kind: "model", parameters: 1_262_720, status: run.diverged ? "diverged" : "completed" };
    const perplexity = (split: string) => ({
      bitsPerByte: bitsPerByte(documents.filter((row) => row.split === split)),
    });
    writeFileSync(
      artifact.path("metrics.json"),
      prettyCanonicalJson({
        subject,
        protocol: run.protocol ?? "harness",
        validation: perplexity("validation"),
        test: perplexity("test"),
        benchmarks: {
          blimp: figure(items, "blimp"),
          hellaswag: { ...figure(items, "hellaswag"), ...(run.note && { note: run.note }) },
        },
      }),
    );
    return artifact;
  }

  shards(): ReportArtifact {
    const artifact = this.artifact("shards", {}, "shards");
    const split = (documents: number) => ({
      documents,
      tokens: documents * 250,
      bytes: documents * 1000,
      characters: documents * 990,
    });
    writeFileSync(
      artifact.path("manifest.json"),
      prettyCanonicalJson({ splits: { train: split(1600), validation: split(100), test: split(100) } }),
    );
    return artifact;
  }

  /** Inputs of a report: every run trained and evaluated, with uniform and unigram controls. */
  async inputs(runs: readonly SyntheticRun[]) {
    return {
      runs: await Promise.all(runs.map((run) => this.evaluation(run))),
      curves: runs.map((run) => this.model(run)),
      controls: await Promise.all([
        this.evaluation({ matrix: { control: "uniform" }, bits: 3.1, control: "uniform" }),
        this.evaluation({ matrix: { control: "unigram" }, bits: 2.5, blimp: 0.52, control: "unigram" }),
      ]),
      shards: this.shards(),
    };
  }
}

/** Documents are the same for all runs; a run moves them all by its bits, and each by a little noise of its own. */
function documentRows(split: string, run: SyntheticRun): DocumentRow[] {
  const shared = new CounterRandom(split === "test" ? 1 : 2, PURPOSE.sample);
  const own = new CounterRandom(seedOf(run), PURPOSE.sample, 1);
  return Array.from({ length: run.documents ?? 50 }, (_, document) => {
    const bytes = 500 + shared.integer(document + 1000, 1000);
    const bits = run.bits + 0.1 * shared.normal(document) + 0.002 * own.normal(document);
    const nats = bits * Math.LN2 * bytes;
    return { split, document, nats, end_of_text_nats: 1, tokens: Math.round(bytes / 4), bytes, characters: bytes };
  });
}

function blimpRows(run: SyntheticRun): ItemRow[] {
  const difficulty = new CounterRandom(3, PURPOSE.sample);
  const paradigms = PARADIGMS.flatMap((size, index) =>
    new Array<string>(size).fill(`paradigm_${String(index).padStart(2, "0")}`),
  );
  return paradigms.map((paradigm, item) => {
    const right = difficulty.uniform(item) < (run.blimp ?? 0.5);
    const row = itemRow("blimp", paradigm, paradigm, item, 2, right);
    // The first of two choices wins a tie.
    return item < (run.ties ?? 0) ? { ...row, tie: true, credit: 0.5, correct: true } : row;
  });
}

/** Every run answers at chance, each in its own way. */
function hellaswagRows(run: SyntheticRun): ItemRow[] {
  const own = new CounterRandom(seedOf(run), PURPOSE.sample, 2);
  return Array.from({ length: HELLASWAG_ITEMS }, (_, item) => {
    return itemRow("hellaswag", "", `h${item}`, item, 4, own.uniform(item) < 0.25);
  });
}

function itemRow(
  task: string,
  subtask: string,
  cluster: string,
  item: number,
  choices: number,
  right: boolean,
): ItemRow {
  return {
    task,
    subtask,
    cluster,
    item,
    item_id: `${task}-${item}`,
    num_choices: choices,
    gold: 0,
    prediction: right ? 0 : 1,
    prediction_norm: right ? 0 : 1,
    prediction_bytes: right ? 0 : 1,
    correct: right,
    correct_norm: right,
    correct_bytes: right,
    tie: false,
    credit: right ? 1 : 0,
    log_probs: Array.from({ length: choices }, (_, choice) => -1 - choice),
    tokens: new Array<number>(choices).fill(3),
    characters: new Array<number>(choices).fill(10),
    bytes: new Array<number>(choices).fill(10),
    truncated: false,
  };
}

function bitsPerByte(rows: readonly DocumentRow[]): number {
  const nats = rows.reduce((sum, row) => sum + row.nats!, 0);
  return nats / Math.LN2 / rows.reduce((sum, row) => sum + row.bytes, 0);
}

function figure(rows: readonly ItemRow[], task: string) {
  const own = rows.filter((row) => row.task === task);
  const subtasks = [...new Set(own.map(({ subtask }) => subtask))].map((name) =>
    own.filter(({ subtask }) => subtask === name),
  );
  const plainMean = (score: (row: ItemRow) => number) => mean(subtasks.map((rows) => mean(rows.map(score))));
  return {
    items: own.length,
    accuracy: plainMean(({ correct }) => Number(correct)),
    accuracySplit: plainMean(({ credit }) => credit!),
    ties: own.filter(({ tie }) => tie).length,
  };
}

function seedOf(run: SyntheticRun): number {
  return Number.parseInt(digestOf("stlm.synthetic.v1", run.matrix).slice(7, 15), 16);
}

/** `count` seeds of one model whose bits per byte are `bits` plus the given deviations in turn. */
export function arm(
  model: string,
  bits: number,
  deviations: readonly number[],
  rest: Partial<SyntheticRun> = {},
): SyntheticRun[] {
  return deviations.map((deviation, index) => ({
    matrix: { model, seed: index + 1 },
    bits: bits + deviation,
    ...rest,
  }));
}

/** A claim that `treatment` has lower validation bits per byte than `control`. */
export function claim(treatment: string, control: string, rest: Partial<Hypothesis> = {}): Hypothesis {
  return {
    name: `${treatment}-beats-${control}`,
    claim: `${treatment} gives lower validation bits per byte than ${control}.`,
    treatment: { model: treatment },
    control: { model: control },
    metric: "val_bits_per_byte",
    direction: "lower",
    smallestEffect: 0.01,
    ...rest,
  };
}
