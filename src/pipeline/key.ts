// The stage key: a digest of everything that decides a stage's outputs, and of nothing else. What is not a field here
// cannot cause a rerun; what decides bytes and is not here would be a wrong result served from the store.

import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { compareUtf8 } from "../util/canonical-json.ts";
import { type Digest, digestFile, digestOf } from "../util/digest.ts";
import { UserError } from "../util/errors.ts";
import type { CodeFingerprint } from "./modules.ts";
import type { CommandSpec, StageNode } from "./node.ts";
import type { DeterminismClass, DeviceName } from "./stage.ts";

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
  /** Where randomness starts. Left out for stages that draw nothing, so that a seed axis does not split their results. */
  readonly seed?: number;
  /** What equality means for this stage; a stage that becomes `bitwise` must be run under that promise. */
  readonly determinism: DeterminismClass;
  /** Machines of one class give equal bytes; others need not. Only for stages that compute on a device. */
  readonly device?: { readonly class: string };
}

export interface KeyContext {
  /** The lab, where a command's deps lie. */
  readonly root: string;
  readonly device: DeviceName;
  /** The class of machines on which `device` gives equal bytes, `cpu-x64`. */
  readonly deviceClass: (device: DeviceName) => string;
}

/** The preimage, once the digest of every input is known. Throws UserError MISSING_DEP where a command's file is absent. */
export function actionPreimage(node: StageNode, inputs: ActionPreimage["inputs"], context: KeyContext): ActionPreimage {
  if (node.work.kind === "command") {
    return {
      version: 1,
      stage: "cmd",
      code: commandCode(node.work.command, context.root, node),
      params: {},
      inputs,
      determinism: "bitwise",
    };
  }
  const { use, code, definition } = node.work.module;
  return {
    version: 1,
    stage: use,
    code,
    params: node.params,
    inputs,
    ...(definition.seeded ? { seed: node.seed } : {}),
    determinism: definition.determinism,
    ...(definition.device ? { device: { class: context.deviceClass(context.device) } } : {}),
  };
}

export function stageKey(preimage: ActionPreimage): Digest {
  return digestOf("stlm.action.v1", preimage);
}

function commandCode(command: CommandSpec, root: string, node: StageNode): CommandCode {
  const deps: Record<string, Digest> = {};
  for (const dep of command.deps) {
    for (const file of filesBelow(root, dep, node)) deps[file] = digestFile(path.join(root, file)).digest;
  }
  return { command: command.command, deps, env: command.env, outs: command.outs };
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
  if (!existsSync(full)) {
    throw new UserError(`Stage "${node.id}" depends on ${dep}, which does not exist.`, {
      code: "MISSING_DEP",
      where: node.where,
      hint: `Make ${full}, or take it out of the stage's deps.`,
    });
  }
  const name = relative.split(path.sep).join("/").replace(/\/$/, "");
  if (!statSync(full).isDirectory()) return [name];
  const found = readdirSync(full, { withFileTypes: true, recursive: true })
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile())
    .map((file) => path.relative(root, file).split(path.sep).join("/"));
  return found.sort(compareUtf8);
}
