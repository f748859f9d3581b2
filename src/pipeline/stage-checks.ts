// What a stage's settings may say beyond their shape: which keys fit `use:` and which `cmd:`, seeds, resources, outs.

import path from "node:path";
import { didYouMean, UserError } from "../util/errors.ts";
import type { StageSpec } from "./config-schema.ts";
import { getPath, type LocatedMap, placeOf } from "./located.ts";

const COMMAND_KEYS = ["deps", "outs", "env"] as const;
const MODULE_KEYS = ["params", "seed"] as const;
const RESOURCES = ["gpu"];
const MAX_SEED = 0xffffffff;

/** Throws UserError BAD_STAGE, BAD_VALUE or UNKNOWN_KEY with the place of what is wrong. */
export function checkStage(name: string, spec: StageSpec, located: LocatedMap): void {
  if ((spec.use === undefined) === (spec.cmd === undefined)) {
    throw new UserError(`Stage "${name}" needs either \`use:\` (a stage module) or \`cmd:\` (a command).`, {
      code: "BAD_STAGE",
      where: located.where,
    });
  }
  const [foreign, owner] = spec.cmd === undefined ? ([COMMAND_KEYS, "cmd"] as const) : ([MODULE_KEYS, "use"] as const);
  for (const key of foreign) {
    if (spec[key] === undefined) continue;
    throw new UserError(`Stage "${name}" has \`${key}:\`, which only a \`${owner}:\` stage can have.`, {
      code: "BAD_STAGE",
      where: placeOf(located, [key]),
      hint: owner === "use" ? "A command takes values as ${...} in its text, or as variables under `env:`." : undefined,
    });
  }
  checkSeeds(name, spec, located);
  checkResources(name, spec, located);
  if (spec.cmd !== undefined) checkOuts(name, spec, located);
}

/** A seed axis decides the draws of its instances, so a value that is no seed must not pass for another. */
function checkSeeds(name: string, spec: StageSpec, located: LocatedMap): void {
  const axis = (spec.matrix?.["seed"] ?? []) as readonly unknown[];
  const places = [
    ...axis.map((_, index) => ["matrix", "seed", index]),
    ...(spec.matrix?.include ?? []).flatMap((cell, index) =>
      "seed" in cell ? [["matrix", "include", index, "seed"]] : [],
    ),
  ];
  for (const place of places) {
    const written = getPath(located, place);
    const value = written?.kind === "scalar" ? written.value : undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_SEED) continue;
    throw new UserError(`${JSON.stringify(value)} is no seed, on the matrix axis "seed" of stage "${name}".`, {
      code: "BAD_VALUE",
      where: written?.where ?? placeOf(located, place),
      hint: `A seed is a whole number from 0 to ${MAX_SEED}, without quotes.`,
    });
  }
}

function checkResources(name: string, spec: StageSpec, located: LocatedMap): void {
  for (const key of Object.keys(spec.resources ?? {})) {
    if (RESOURCES.includes(key)) continue;
    throw new UserError(`Stage "${name}" asks for the resource "${key}", which is not known.`, {
      code: "UNKNOWN_KEY",
      where: placeOf(located, ["resources", key]),
      hint: `Resources are: ${RESOURCES.join(", ")}.${didYouMean(key, RESOURCES)}`,
    });
  }
}

function checkOuts(name: string, spec: StageSpec, located: LocatedMap): void {
  const outs = spec.outs ?? [];
  if (outs.length === 0) {
    throw new UserError(`The command of stage "${name}" declares nothing that it writes.`, {
      code: "BAD_STAGE",
      where: placeOf(located, ["outs"]),
      hint: "Name its files or folders: outs: [out.txt]",
    });
  }
  for (const [index, out] of outs.entries()) {
    if (out !== "" && !path.isAbsolute(out) && !out.split("/").includes("..")) continue;
    throw new UserError(`Stage "${name}" has an out outside of its working folder: "${out}"`, {
      code: "BAD_STAGE",
      where: placeOf(located, ["outs", index]),
      hint: "Outs are files or folders relative to the folder in which the command runs, without `..`.",
    });
  }
}
