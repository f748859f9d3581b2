// Trust on first use: the digests of files that no publisher's digest is known of, as this lab first got them. They stand
// by address in data-pins.json beside pipeline.yaml, so that a copy of the lab on another machine compares with them too.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { prettyCanonicalJson } from "../../util/canonical-json.ts";
import { type Digest, isDigest } from "../../util/digest.ts";
import { messageOf, systemErrorCode, UserError } from "../../util/errors.ts";
import type { DatasetFile } from "../datasets/dataset.ts";

export const PINS_FILE = "data-pins.json";

const pinsSchema = z.record(z.string(), z.string().refine(isDigest, "it is no digest"));

/** Under which a file is pinned: the first of its addresses. undefined for files that come from elsewhere. */
export function addressOf({ source }: DatasetFile): string | undefined {
  return source.kind === "url" ? source.urls[0] : undefined;
}

/** What the lab has pinned so far, by address. Throws a UserError for a file that is no list of pins. */
export function readPins(lab: string): ReadonlyMap<string, Digest> {
  const file = path.join(lab, PINS_FILE);
  try {
    const pins = pinsSchema.parse(JSON.parse(readFileSync(file, "utf8")));
    return new Map(Object.entries(pins) as [string, Digest][]);
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") return new Map();
    throw new UserError(`${PINS_FILE} cannot be read: ${messageOf(cause)}`, {
      code: "BAD_PINS",
      where: { file },
      hint: 'It holds one digest an address, as in { "https://...": "sha256:..." }. Take it from version control again.',
      cause,
    });
  }
}

/** Read anew and replaced in one step, since several stages may download at once. */
export function writePin(lab: string, address: string, digest: Digest): void {
  const pins = new Map(readPins(lab)).set(address, digest);
  const file = path.join(lab, PINS_FILE);
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, prettyCanonicalJson(Object.fromEntries(pins)));
  renameSync(fresh, file);
}

/** The file with the lab's pin as its digest. Throws a UserError where the hub by now tells another one. */
export function withPin(file: DatasetFile, pin: Digest | undefined): DatasetFile {
  if (pin === undefined || file.sha256 === pin) return file;
  if (file.sha256 === undefined) return { ...file, sha256: pin };
  throw new UserError(
    `${file.path} is no longer the file that it was: expected ${pin}, and the hub says ${file.sha256}.`,
    {
      code: "PIN_MISMATCH",
      where: { file: PINS_FILE },
      hint: acceptance(file),
      exitCode: 1,
    },
  );
}

/** `error` with the way out, where it is about bytes that are not the pinned ones. */
export function explainPin(error: unknown, file: DatasetFile): unknown {
  if (!(error instanceof UserError) || file.sha256 === undefined || !error.message.includes(file.sha256)) return error;
  const { code, where, hint, cause, exitCode } = error;
  return new UserError(error.message, { code, where, hint: `${hint}\n${acceptance(file)}`, cause, exitCode });
}

function acceptance(file: DatasetFile): string {
  return `This lab got other bytes when it first used the file (${PINS_FILE}). To take the new ones, delete the line of ${addressOf(file)} there.`;
}
