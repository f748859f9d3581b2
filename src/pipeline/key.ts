// The stage key: a digest of everything that decides a stage's outputs, and of nothing else. What is not a field here
// cannot cause a rerun; what decides bytes and is not here would be a wrong result served from the store.

import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { compareUtf8 } from "../util/canonical-json.ts";
import { type Digest, digestFile, digestOf } from "../util/digest.ts";
import { isUserError, messageOf, UserError } from "../util/errors.ts";
import type { CodeFingerprint } from "./modules.ts";
import type { CommandSpec, StageNode } from "./node.ts";
import type { DeterminismClass, DeviceName, Precision, StageDefinition } from "./stage.ts";

/** A command's code: its text and the bytes of the files that it says it reads. */
export interface CommandCode {
  readonly command: string;
  /** Digest by path, every file below a folder by itself, `/` between parts. */
  readonly deps: Readonly<Record<string, Digest>>;
  readonly env: Readonly<Record<string, string>>;
  readonly outs: readonly string[];
}

/** One artifact under an input's name. */
export interface NamedInput {
  /** The instance that made it, which a stage can see: reports label their rows by it. */
  readonly stage: string;
  readonly digest: Digest;
}

export interface ActionPreimage {
  /** The layout of this interface: an older program's keys never meet ours. */
  readonly version: 1;
  /** The module's name after `use:`, or `cmd`: two stages with equal code but another name are two entries in `runs`. */
  readonly stage: string;
  /** Another program may write other bytes. */
  readonly code: CodeFingerprint | CommandCode;
  /** Resolved parameters, defaults included: exactly what run() sees. */
  readonly params: Readonly<Record<string, unknown>>;
  /** Bytes read. By digest, so that an upstream rerun with equal outputs changes nothing (early cut-off). */
  readonly inputs: Readonly<Record<string, NamedInput | readonly NamedInput[]>>;
  /**
   * Files beside the inputs that the stage says it reads (`reads`), digest by label: relative to the lab; elsewhere the
   * place in the list and the base name, for a machine's folders decide nothing. Left out where it reads none.
   */
  readonly files?: Readonly<Record<string, Digest>>;
  /** Where randomness starts. Left out for stages that draw nothing, so that a seed axis does not split their results. */
  readonly seed?: number;
  /** What equality means for this stage; a stage that becomes `bitwise` must be run under that promise. */
  readonly determinism: DeterminismClass;
  /** Machines of one class give equal bytes; others need not. Only for stages that compute on a device. */
  readonly device?: { readonly class: string };
  /**
   * Node's major version, `node20`: V8's exp, cos, log and pow round differently from one to another, and draw initial
   * weights and position tables and compute all that the reference device does. Only for stages that compute on a device.
   */
  readonly runtime?: string;
}

const RUNTIME = `node${process.versions.node.split(".")[0]}`;

/** One device for all stages, or the device for the precision in which a stage computes. */
export type DeviceChoice = DeviceName | ((precision: Precision) => DeviceName);

/** The device that a stage runs on. A command says nothing of precision: f32. */
export function deviceOf(node: StageNode, choice: DeviceChoice): DeviceName {
  return typeof choice === "string" ? choice : choice(precisionOf(node));
}

function precisionOf({ work, params }: StageNode): Precision {
  return (work.kind === "module" ? work.module.definition.precision?.(params) : undefined) ?? "f32";
}

export interface KeyContext {
  /** The lab, where a command's deps lie. */
  readonly root: string;
  readonly device: DeviceChoice;
  /** The class of machines on which `device` gives equal bytes, `cpu-x64`. */
  readonly deviceClass: (device: DeviceName, precision: Precision) => string;
  /** Digest of a file by its absolute path, from a memory perhaps. Default: the file is read. */
  readonly fileDigest?: ((file: string) => Digest) | undefined;
}

/**
 * The preimage, once the digest of every input is known. Throws UserError MISSING_DEP where a command's file is absent,
 * MISSING_FILE where a stage's is, and what the stage's own `reads` throws.
 */
export function actionPreimage(node: StageNode, inputs: ActionPreimage["inputs"], context: KeyContext): ActionPreimage {
  if (node.work.kind === "command") {
    return {
      version: 1,
      stage: "cmd",
      code: commandCode(node.work.command, node, context),
      params: {},
      inputs,
      determinism: "bitwise",
    };
  }
  const { use, code, definition } = node.work.module;
  const files = filesRead(node, context);
  return {
    version: 1,
    stage: use,
    code,
    params: node.params,
    inputs,
    ...(files.length > 0 ? { files: Object.fromEntries(files) } : {}),
    ...(definition.seeded ? { seed: node.seed } : {}),
    determinism: definition.determinism,
    ...(definition.device
      ? { device: { class: context.deviceClass(deviceOf(node, context.device), precisionOf(node)) }, runtime: RUNTIME }
      : {}),
  };
}

export function stageKey(preimage: ActionPreimage): Digest {
  return digestOf("stlm.action.v1", preimage);
}

function commandCode(command: CommandSpec, node: StageNode, context: KeyContext): CommandCode {
  const deps: Record<string, Digest> = {};
  for (const dep of command.deps) {
    for (const file of filesBelow(context.root, dep, node)) {
      deps[file] = digestOfFile(path.join(context.root, file), node, context);
    }
  }
  return { command: command.command, deps, env: command.env, outs: command.outs };
}

/** Label and digest of each file that a module's `reads` names, sorted; of a folder, of each file that is not hidden. */
function filesRead(node: StageNode, context: KeyContext): [string, Digest][] {
  if (node.work.kind !== "module") return [];
  const roots = askReads(node, node.work.module.definition, context.root);
  const files = roots.flatMap((root, index) => {
    const full = path.resolve(context.root, root);
    const inLab = path.relative(context.root, full);
    const isOutside = inLab === ".." || inLab.startsWith(`..${path.sep}`) || path.isAbsolute(inLab);
    const label = isOutside ? `${index}:${path.basename(full)}` : inLab;
    if (!existsSync(full)) throw missingFile(node, full);
    const below = statSync(full).isDirectory() ? listFolder(full).filter((name) => !isHidden(name)) : [""];
    return below.map((name) => ({ label: slashes(path.join(label, name)), file: path.join(full, name) }));
  });
  return files
    .sort((a, b) => compareUtf8(a.label, b.label))
    .map(({ label, file }) => [label, digestOfFile(file, node, context)]);
}

/** What it throws gets the stage's name and place. */
function askReads(node: StageNode, definition: StageDefinition, root: string): readonly string[] {
  try {
    return definition.reads?.(node.params, root) ?? [];
  } catch (error) {
    if (!isUserError(error)) throw error;
    const { code, hint, exitCode } = error;
    throw new UserError(`Stage "${node.id}": ${error.message}`, {
      code,
      where: node.where,
      hint,
      exitCode,
      cause: error,
    });
  }
}

function digestOfFile(file: string, node: StageNode, { fileDigest }: KeyContext): Digest {
  try {
    return fileDigest ? fileDigest(file) : digestFile(file).digest;
  } catch (error) {
    throw new UserError(`Stage "${node.id}" reads ${file}, which cannot be read: ${messageOf(error)}.`, {
      code: "UNREADABLE_FILE",
      where: node.where,
      hint: "Give this user the permission to read it, or take it out of what the stage reads.",
      cause: error,
    });
  }
}

function missingFile(node: StageNode, file: string): UserError {
  return new UserError(`Stage "${node.id}" reads ${file}, which does not exist.`, {
    code: "MISSING_FILE",
    where: node.where,
    hint: "Paths are relative to the folder of pipeline.yaml. Correct the path, or make the file.",
  });
}

/** A dep's files relative to the lab, in order of their names. Links are followed to files, never to folders. */
export function filesBelow(root: string, dep: string, node: StageNode): string[] {
  const relative = path.normalize(dep);
  const full = path.join(root, relative);
  if (path.isAbsolute(dep) || relative.startsWith("..")) {
    throw new UserError(`Stage "${node.id}" has a dep outside of the lab: ${dep}`, {
      code: "BAD_DEP",
      where: node.where,
      hint: "Deps are files or folders below the folder of pipeline.yaml.",
    });
  }
  if (/^(\.|artifacts)$/.test(relative.split(path.sep)[0]!)) {
    throw new UserError(`Stage "${node.id}" has a dep that holds artifacts/, which every run changes: ${dep}`, {
      code: "BAD_DEP",
      where: node.where,
      hint: "Name the files or folders that it reads. What other stages write comes in through `inputs`.",
    });
  }
  if (!existsSync(full)) {
    throw new UserError(`Stage "${node.id}" depends on ${dep}, which does not exist.`, {
      code: "MISSING_DEP",
      where: node.where,
      hint: `Make ${full}, or take it out of the stage's deps.`,
    });
  }
  const name = slashes(relative).replace(/\/$/, "");
  if (!statSync(full).isDirectory()) return [name];
  return listFolder(full)
    .map((file) => slashes(path.join(relative, file)))
    .sort(compareUtf8);
}

/** Files below a folder, relative to it. */
function listFolder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile())
    .map((file) => path.relative(folder, file));
}

function isHidden(file: string): boolean {
  return file.split(path.sep).some((part) => part.startsWith("."));
}

function slashes(file: string): string {
  return file.split(path.sep).join("/");
}
