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
  const rank = (finding: Finding) => rankOf(finding, findings);
  findings.sort((a, b) => {
    const [one, other] = [rank(a), rank(b)];
    return one.line - other.line || one.column - other.column || one.after - other.after;
  });
  const [first, ...others] = findings;
  const more = others.length > 0 ? `${others.length} more after this one.` : undefined;
  return new UserError(first!.message, {
    code: first!.code,
    where: first!.where,
    hint: [first!.hint, more].filter(Boolean).join("\n") || undefined,
  });
}

/** A missing value has no place but its map's, which comes before the misspelt key that may well be the value. */
function rankOf({ where, missingFrom }: Finding, findings: readonly Finding[]) {
  const typo = missingFrom === undefined ? undefined : findings.find(({ unknownIn }) => unknownIn === missingFrom);
  const { line = 0, column = 0 } = typo?.where ?? where;
  return { line, column, after: typo ? 1 : 0 };
}

interface Finding {
  readonly message: string;
  readonly code: string;
  readonly where: ReturnType<typeof placeOf>;
  readonly hint: string | undefined;
  /** The map that has a key too many, or lacks one: its path as text. */
  readonly unknownIn?: string;
  readonly missingFrom?: string;
}

function describe(issue: z.core.$ZodIssue, { of, located, schema }: Subject): Finding {
  const path = issue.path;
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0]!;
    const known = keysAt(schema, path, located);
    return {
      unknownIn: path.join("."),
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
  const problem = issue.message.replace(/^Invalid input: /, "");
  if (issue.code !== "invalid_type" || valueAt(located, path) !== undefined) {
    return { message: `Bad value${leaf} in ${of}: ${problem}.`, code: "BAD_VALUE", where, hint: undefined };
  }
  return {
    message: `A value is missing${leaf} in ${of}.`,
    code: "MISSING_VALUE",
    where,
    hint: `It takes ${NOUNS[issue.expected] ?? `a value of the type ${issue.expected}`}.`,
    missingFrom: path.slice(0, -1).join("."),
  };
}

/** What zod calls the types of values, as a reader of YAML does. */
const NOUNS: Readonly<Record<string, string>> = {
  number: "a number",
  int: "a whole number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "a mapping",
  record: "a mapping",
};

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
function keysAt(schema: z.ZodType, path: readonly PropertyKey[], located: Located): string[] {
  let here: unknown = schema;
  for (const part of path) here = child(unwrap(here), part);
  const { shape, options = [], def } = (unwrap(here) ?? {}) as ObjectLike & UnionLike;
  if (shape) return Object.keys(shape);
  // Of several kinds of maps, the one that the value says it is: { shape: early, ... }.
  const discriminator = def?.discriminator;
  if (discriminator === undefined) return [];
  const kind = valueAt(located, [...path, discriminator]);
  return Object.keys(options.find((option) => option.shape?.[discriminator]?.value === kind)?.shape ?? {});
}

interface ObjectLike {
  readonly shape?: Readonly<Record<string, { readonly value?: unknown }>>;
}

interface UnionLike {
  readonly options?: readonly ObjectLike[];
  readonly def?: { readonly discriminator?: string };
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
