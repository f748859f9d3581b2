// Runs a stage's definition in this process over temporary folders, as the executor would in a child process.

import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { z } from "zod";
import {
  type ArtifactType,
  type DeviceName,
  type InputType,
  inputArtifact,
  parseInputType,
  type StageContext,
  type StageDefinition,
} from "../../src/pipeline/stage.ts";
import { type Digest, digestFile, digestOf } from "../../src/util/digest.ts";

export interface RunStageOptions<Schema extends z.ZodType> {
  /** Parsed by the stage's schema, so defaults may be left out. */
  readonly params?: z.input<Schema>;
  /** Folders of artifacts; a list where the stage declares `[]`. */
  readonly inputs?: Readonly<Record<string, string | readonly string[]>>;
  /** Matrix cell of the stage that made each input, in the order of the folders. */
  readonly matrices?: Readonly<Record<string, readonly Readonly<Record<string, string | number | boolean>>[]>>;
  readonly seed?: number;
  readonly device?: DeviceName;
  readonly threads?: number;
  /** A folder that survives the run, to test resumption; else a fresh one. */
  readonly work?: string;
  readonly dataDir?: string;
  readonly root?: string;
  readonly signal?: AbortSignal;
}

export interface StageRun<Output extends string> {
  /** The folder of each output. */
  readonly outputs: Readonly<Record<Output, string>>;
  readonly measures: Readonly<Record<string, number | string>>;
  /** Lines as `info: ...` and `warn: ...`. */
  readonly log: readonly string[];
  /** The last progress line of each unit and note. */
  readonly progress: readonly { readonly done: number; readonly total: number; readonly unit: string }[];
}

let base: string | undefined;

/** A fresh folder that is deleted when the test process ends. */
export function temporaryFolder(name = "folder"): string {
  if (base === undefined) {
    base = mkdtempSync(path.join(tmpdir(), "stlm-test-"));
    const folder = base;
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  }
  return mkdtempSync(path.join(base, `${name}-`));
}

/** Parses the parameters and runs the stage. Rejects with what the stage throws. */
export async function runStage<
  Schema extends z.ZodType,
  Inputs extends Record<string, InputType>,
  Outputs extends Record<string, ArtifactType>,
>(
  definition: StageDefinition<Schema, Inputs, Outputs>,
  options: RunStageOptions<Schema> = {},
): Promise<StageRun<keyof Outputs & string>> {
  type Context = StageContext<z.output<Schema>, Inputs, keyof Outputs & string>;
  const folders = Object.fromEntries(
    Object.keys(definition.outputs).map((name) => [name, temporaryFolder(`output-${name}`)]),
  ) as Record<keyof Outputs & string, string>;
  const measures: Record<string, number | string> = {};
  const log: string[] = [];
  const progress: { done: number; total: number; unit: string }[] = [];
  const context = {
    params: definition.params.parse(options.params ?? {}),
    inputs: inputsOf(definition.inputs, options) as Context["inputs"],
    outputs: Object.fromEntries(
      Object.entries<string>(folders).map(([name, folder]) => [name, { path: pathIn(folder) }]),
    ) as Context["outputs"],
    seed: options.seed ?? 1,
    device: options.device ?? "reference",
    threads: options.threads ?? 1,
    work: options.work ?? temporaryFolder("work"),
    dataDir: options.dataDir,
    root: options.root,
    signal: options.signal ?? new AbortController().signal,
    log: {
      info: (message: string) => void log.push(`info: ${message}`),
      warn: (message: string) => void log.push(`warn: ${message}`),
      progress: (done: number, total: number, unit: string) => void progress.push({ done, total, unit }),
      measure: (name: string, value: number | string) => {
        measures[name] = value;
      },
    },
  } satisfies Context;
  await definition.run(context);
  return { outputs: folders, measures, log, progress };
}

/** Digest over the names and bytes of all files below a folder: equal folders have equal digests. */
export function digestFolder(folder: string): Digest {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
  return digestOf(
    "test.tree",
    names.map((name) => [name, digestFile(path.join(folder, name)).digest]),
  );
}

function inputsOf(
  types: Record<string, InputType>,
  { inputs = {}, matrices = {} }: Pick<RunStageOptions<z.ZodType>, "inputs" | "matrices">,
): Record<string, unknown> {
  for (const name of Object.keys(inputs)) {
    if (!(name in types)) throw new Error(`The stage has no input "${name}": ${Object.keys(types).join(", ")}`);
  }
  return Object.fromEntries(
    Object.entries(types).map(([name, type]) => {
      const { many, optional } = parseInputType(type);
      const given = inputs[name];
      const folders = given === undefined ? [] : typeof given === "string" ? [given] : given;
      if (folders.length === 0 && !many && !optional) throw new Error(`The stage needs the input "${name}"`);
      const artifacts = folders.map((folder, index) =>
        inputArtifact(folder, {
          digest: digestFolder(folder),
          stage: `${name}-${index}`,
          matrix: { ...matrices[name]?.[index] },
        }),
      );
      return [name, many ? artifacts : artifacts[0]];
    }),
  );
}

function pathIn(folder: string): (...parts: string[]) => string {
  return (...parts) => {
    const target = path.join(folder, ...parts);
    if (parts.length > 0) mkdirSync(path.dirname(target), { recursive: true });
    return target;
  };
}
