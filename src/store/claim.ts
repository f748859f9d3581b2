// Claims: exclusive ownership of a name among processes, without a lock that someone has to break by hand.
//
// A claim is a file `<name>.<generation>`; the highest generation holds. Whoever finds the holder dead makes the next
// generation, which succeeds for one process only (a link replaces nothing), and then removes the older ones. Between
// reading and linking the world may have moved on, so a new claim counts only if the dead one is still there, and
// still the same, after the link: a process with an old view steps back. The generation is also the fencing token.

import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync } from "node:fs";
import path from "node:path";
import { systemErrorCode } from "../util/errors.ts";
import { createExclusively } from "./durable.ts";
import type { StoreLayout } from "./layout.ts";
import { lstat } from "./objects.ts";
import { type Owner, ownerState, thisOwner } from "./owner.ts";

export interface ClaimContent {
  readonly token: string;
  readonly owner: Owner;
  /** ISO 8601, for people. */
  readonly since: string;
}

export interface Claim {
  readonly file: string;
  readonly generation: number;
  readonly token: string;
}

/** Someone else holds the name. */
export interface Held {
  /** Identifies this holder and its last heartbeat: the same text means that nothing moved. */
  readonly pulse: string;
  /** Undefined when the file could not be read. */
  readonly holder: ClaimContent | undefined;
}

interface Found {
  readonly file: string;
  readonly generation: number;
}

/**
 * Takes the name if nobody alive has it. `silentPulse` is the pulse of a holder on another machine that has been
 * silent for so long that the caller takes it for dead. Undefined: the world moved; ask again.
 */
export function tryClaim(
  layout: StoreLayout,
  folder: string,
  name: string,
  silentPulse?: string,
): { readonly claim: Claim } | { readonly held: Held } | undefined {
  mkdirSync(folder, { recursive: true });
  const before = generations(folder, name).at(-1);
  let pulse: string | undefined;
  if (before !== undefined) {
    const stat = lstat(before.file);
    const holder = readClaim(before.file);
    if (stat === undefined) return undefined;
    pulse = `${holder?.token ?? `${stat.ino}`}:${stat.mtimeNs}`;
    const state = holder === undefined ? "unknown" : ownerState(holder.owner);
    if (state === "alive" || (state === "unknown" && pulse !== silentPulse)) return { held: { pulse, holder } };
  }
  const claim = makeClaim(layout, folder, name, (before?.generation ?? 0) + 1);
  if (claim === undefined) return undefined;
  const now = generations(folder, name);
  const isHighest = now.at(-1)?.file === claim.file;
  const predecessor = now.find((found) => found.generation !== claim.generation && found.file === before?.file);
  const isUndisturbed = before === undefined ? now.length === 1 : isSilent(predecessor, pulse);
  if (!isHighest || !isUndisturbed) {
    rmSync(claim.file, { force: true });
    return undefined;
  }
  for (const older of now.slice(0, -1)) rmSync(older.file, { force: true });
  return { claim };
}

export function isClaimHeld(claim: Claim): boolean {
  return readClaim(claim.file)?.token === claim.token;
}

/** Shows those on other machines that the holder lives. */
export function beat(claim: Claim): void {
  const now = new Date();
  try {
    utimesSync(claim.file, now, now);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  }
}

export function releaseClaim(claim: Claim): void {
  if (isClaimHeld(claim)) rmSync(claim.file, { force: true });
}

function isSilent(predecessor: Found | undefined, pulse: string | undefined): boolean {
  const stat = predecessor && lstat(predecessor.file);
  if (stat === undefined) return false;
  return pulse === `${readClaim(predecessor!.file)?.token ?? `${stat.ino}`}:${stat.mtimeNs}`;
}

function makeClaim(layout: StoreLayout, folder: string, name: string, generation: number): Claim | undefined {
  const content: ClaimContent = {
    token: randomBytes(16).toString("hex"),
    owner: thisOwner(),
    since: new Date().toISOString(),
  };
  const file = path.join(folder, `${name}.${generation}`);
  const isMade = createExclusively(layout, file, JSON.stringify(content));
  return isMade ? { file, generation, token: content.token } : undefined;
}

function readClaim(file: string): ClaimContent | undefined {
  try {
    const content = JSON.parse(readFileSync(file, "utf8")) as ClaimContent;
    return typeof content.token === "string" && typeof content.owner.pid === "number" ? content : undefined;
  } catch {
    return undefined;
  }
}

/** The claims on a name, lowest generation first. */
function generations(folder: string, name: string): Found[] {
  return list(folder)
    .filter((file) => file.startsWith(`${name}.`) && /^\d+$/.test(file.slice(name.length + 1)))
    .map((file) => ({ file: path.join(folder, file), generation: Number(file.slice(name.length + 1)) }))
    .sort((a, b) => a.generation - b.generation);
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}
