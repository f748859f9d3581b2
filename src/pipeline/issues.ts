// zod's findings as one message with file:line:column and a suggestion.

import type { z } from "zod";
import { didYouMean, UserError } from "../util/errors.ts";
import { type Located, placeOf } from "./located.ts";

interface Subject {
  /** What the values are for: `pipeline.yaml`, `stage "train"`. */
  readonly of: string;
  readonly located: Located;
  readonly schema: z.ZodType;
}

/** The first finding (in the order of the file) as a UserError; further ones are counted in the hint. */
export function configurationError(error: z.ZodError, subject: Subject): UserError {
  const findings = error.issues.map((issue) => describe(issue, subject));
  findings.sort((a, b) => (a.where.line ?? 0) - (b.where.line ?? 0) || (a.where.column ?? 0) - (b.where.column ?? 0));
  const [first, ...others] = findings;
  const more = others.length > 0 ? `${others.length} more after this one.` : undefined;
  return new UserError(first!.message, {
    code: first!.code,
    where: first!.where,
    hint: [first!.hint, more].filter(Boolean).join("\n") || undefined,
  });
}

interface Finding {
  readonly message: string;
  readonly code: string;
  readonly where: ReturnType<typeof placeOf>;
  readonly hint: string | undefined;
}

function describe(issue: z.core.$ZodIssue, { of, located, schema }: Subject): Finding {
  const path = issue.path;
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0]!;
    const known = keysAt(schema, path);
    return {
      message: `Unknown key "${key}" in ${of}.`,
      code: "UNKNOWN_KEY",
      where: placeOf(located, [...path, key]),
      hint: known.length > 0 ? `Keys here are: ${known.join(", ")}.${didYouMean(key, known)}` : undefined,
    };
  }
  const where = placeOf(located, path);
  const leaf = path.length > 0 ? ` for "${path.map(String).join(".")}"` : "";
  if (issue.code === "invalid_value") {
    const given = valueAt(located, path);
    const options = issue.values.map(String);
    return {
      message: `${given === undefined ? "A value is missing" : `"${given}" is not a legal value`}${leaf} in ${of}.`,
      code: given === undefined ? "MISSING_VALUE" : "BAD_VALUE",
      where,
      hint: `Legal values are: ${options.join(", ")}.${given === undefined ? "" : didYouMean(String(given), options)}`,
    };
  }
  const missing = issue.code === "invalid_type" && valueAt(located, path) === undefined;
  return {
    message: missing ? `A value is missing${leaf} in ${of}.` : `Bad value${leaf} in ${of}: ${issue.message}.`,
    code: missing ? "MISSING_VALUE" : "BAD_VALUE",
    where,
    hint: missing ? issue.message : undefined,
  };
}

function valueAt(located: Located, path: readonly PropertyKey[]): unknown {
  let here: Located | undefined = located;
  for (const part of path) {
    if (here?.kind === "map") here = here.entries.get(String(part))?.value;
    else if (here?.kind === "list") here = here.items[Number(part)];
    else return undefined;
  }
  return here?.kind === "scalar" ? here.value : here;
}

/** The keys that an object schema at `path` knows; empty where it cannot be told. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let here: unknown = schema;
  for (const part of path) here = child(unwrap(here), part);
  const shape = (unwrap(here) as { shape?: Record<string, unknown> } | undefined)?.shape;
  return shape ? Object.keys(shape) : [];
}

function child(schema: unknown, part: PropertyKey): unknown {
  const node = schema as { shape?: Record<string, unknown>; valueType?: unknown; element?: unknown } | undefined;
  return node?.shape?.[String(part)] ?? node?.valueType ?? node?.element;
}

/** Through optional, default, nullable and pipes to the schema inside. */
function unwrap(schema: unknown): unknown {
  let here = schema as { def?: { innerType?: unknown; in?: unknown } } | undefined;
  while (here?.def?.innerType ?? here?.def?.in) here = (here.def!.innerType ?? here.def!.in) as typeof here;
  return here;
}
