// Checkpoints: everything that the rest of a run depends on, so that a resumed run ends with the same bytes. A folder
// each, written whole under another name and then renamed: what has the right name was complete once, and its digests
// say whether it still is.

import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { z } from "zod";
import { readSafetensors, type TensorSource, writeSafetensors } from "../tensor/safetensors.ts";
import { prettyCanonicalJson } from "../util/canonical-json.ts";
import { digestBytes, digestFile, digestOf } from "../util/digest.ts";
import { messageOf } from "../util/errors.ts";
import { MetricsLog } from "./metrics.ts";
import type { Trainer } from "./trainer.ts";

const KEEP = 2;
const FOLDER_PATTERN = /^step-(\d{9})$/;
const TEMPORARY = "writing";

const aboutSchema = z.strictObject({
  version: z.literal(1),
  step: z.int().min(0),
  /** Digest of all that decides the run. */
  run: z.string(),
  state: z.string(),
  metrics: z.string(),
});

/** The checkpoints of one run, in a folder of their own. */
export class Checkpoints {
  private readonly run: string;

  /** `identity` is all that decides the run; a checkpoint made for another one is passed over. */
  constructor(
    private readonly folder: string,
    identity: unknown,
    private readonly warn: (message: string) => void,
  ) {
    this.run = digestOf("stlm.training.v1", identity);
    mkdirSync(folder, { recursive: true });
  }

  /** Save weights, moments, step and curve; keeps the last two checkpoints. Throws the system's error on a full disk. */
  save(trainer: Trainer, metrics: MetricsLog): void {
    const temporary = path.join(this.folder, TEMPORARY);
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary);
    const state = writeSafetensors(path.join(temporary, "state.safetensors"), stateTensors(trainer));
    const text = metrics.text();
    writeDurably(path.join(temporary, "metrics.jsonl"), text);
    const about = { version: 1, step: trainer.step, run: this.run, state: state.digest, metrics: digestBytes(text) };
    writeDurably(path.join(temporary, "checkpoint.json"), prettyCanonicalJson(about));
    syncFolder(temporary);

    const name = path.join(this.folder, `step-${String(trainer.step).padStart(9, "0")}`);
    rmSync(name, { recursive: true, force: true });
    renameSync(temporary, name);
    syncFolder(this.folder);
    for (const old of this.steps().slice(KEEP))
      rmSync(path.join(this.folder, old.name), { recursive: true, force: true });
  }

  /**
   * Put the trainer where the newest sound checkpoint was and return its curve, or undefined where there is none.
   * One that is damaged is named in a warning, and the one before it is tried.
   */
  restore(trainer: Trainer): MetricsLog | undefined {
    for (const { name } of this.steps()) {
      const folder = path.join(this.folder, name);
      try {
        return this.load(folder, trainer);
      } catch (error) {
        this.warn(`Checkpoint ${folder} is not used: ${messageOf(error)}`);
      }
    }
    return undefined;
  }

  private load(folder: string, trainer: Trainer): MetricsLog {
    const about = aboutSchema.parse(JSON.parse(readFileSync(path.join(folder, "checkpoint.json"), "utf8")));
    if (about.run !== this.run) throw new Error("it belongs to a run with other parameters");
    const state = path.join(folder, "state.safetensors");
    const text = readFileSync(path.join(folder, "metrics.jsonl"), "utf8");
    // All digests are checked before the first weight is touched.
    if (digestFile(state).digest !== about.state) throw new Error("state.safetensors is damaged");
    if (digestBytes(text) !== about.metrics) throw new Error("metrics.jsonl is damaged");
    const { tensors } = readSafetensors(state);
    for (const { name, buffer } of stateBuffers(trainer)) {
      const tensor = tensors.get(name);
      if (!tensor) throw new Error(`it has no ${name}`);
      trainer.backend.write(buffer, tensor.read());
    }
    trainer.resumeAt(about.step);
    return new MetricsLog(text);
  }

  /** Newest first. */
  private steps(): { readonly name: string; readonly step: number }[] {
    if (!existsSync(this.folder)) return [];
    return readdirSync(this.folder)
      .flatMap((name) => {
        const match = FOLDER_PATTERN.exec(name);
        return match ? [{ name, step: Number(match[1]) }] : [];
      })
      .sort((a, b) => b.step - a.step);
  }
}

function stateBuffers(trainer: Trainer) {
  return trainer.optimizer.slots.flatMap(({ name, parameter, m, v }) => [
    { name: `weight.${name}`, shape: parameter.shape, buffer: parameter.value },
    { name: `m.${name}`, shape: parameter.shape, buffer: m },
    { name: `v.${name}`, shape: parameter.shape, buffer: v },
  ]);
}

function stateTensors(trainer: Trainer): TensorSource[] {
  return stateBuffers(trainer).map(({ name, shape, buffer }) => ({
    name,
    shape,
    read: () => trainer.backend.read(buffer) as Float32Array,
  }));
}

function writeDurably(file: string, text: string): void {
  const handle = openSync(file, "w");
  try {
    writeFileSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Make a rename or a new file survive a power cut. */
function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
