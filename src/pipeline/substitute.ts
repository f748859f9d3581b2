// `${path}` and `extends` in pipeline.yaml.
//
// `${model}` is the instance's value on the matrix axis `model`; any other path reads `params`. A string that is one
// expression takes the value as it is (a whole map, a number); inside a longer string only scalars fit. Expressions
// nest from the inside out: `${models.${model}}`.

import { didYouMean, UserError } from "../util/errors.ts";
import { getPath, type Located, type LocatedMap, mergeLocated } from "./located.ts";
import type { Scalar } from "./node.ts";

const INNERMOST = /\$\{([^${}]*)\}/;
const WHOLE = /^\$\{([^${}]*)\}$/;

export interface Scope {
  readonly matrix: Readonly<Record<string, Scalar>>;
  readonly params: LocatedMap;
}

/** The value with all expressions replaced. Throws UNKNOWN_REFERENCE, CIRCULAR_REFERENCE or NOT_A_SCALAR. */
export function substitute(located: Located, scope: Scope, trail: readonly string[] = []): Located {
  if (located.kind === "list") {
    return { ...located, items: located.items.map((item) => substitute(item, scope, trail)) };
  }
  if (located.kind === "map") {
    const entries = [...located.entries].map(
      ([key, entry]) => [key, { ...entry, value: substitute(entry.value, scope, trail) }] as const,
    );
    return { ...located, entries: new Map(entries) };
  }
  if (typeof located.value !== "string") return located;
  let text = located.value;
  for (let match = INNERMOST.exec(text); match; match = INNERMOST.exec(text)) {
    const whole = WHOLE.exec(text);
    const value = lookUp(match[1]!, located, scope, trail);
    if (whole) return value;
    if (value.kind !== "scalar") {
      throw new UserError(`"\${${match[1]}}" is a ${value.kind}, which cannot stand inside a longer text.`, {
        code: "NOT_A_SCALAR",
        where: located.where,
        hint: "Use the expression alone as the value, or name one number or word inside it.",
      });
    }
    text = text.replace(INNERMOST, () => String((value as { value: unknown }).value));
  }
  return { ...located, value: text };
}

/** As `substitute` for one text, leaving what is unknown as it is: `${HOME}` in a command belongs to the shell. */
export function substituteKnown(text: string, scope: Scope): string {
  return text.replace(/\$\{([^${}]+)\}/g, (whole, path: string) => {
    if (Object.hasOwn(scope.matrix, path)) return String(scope.matrix[path]);
    const value = getPath(scope.params, path.split("."));
    if (value?.kind !== "scalar") return whole;
    const resolved = substitute(value, scope, [path]);
    return resolved.kind === "scalar" ? String(resolved.value) : whole;
  });
}

/**
 * First path parts of all expressions in a tree of values: what `${models.baseline}` reads is "models". A whole `${axis}` of
 * `axes` reads the matrix, and nothing below params.
 */
export function namespacesRead(located: Located, axes: readonly string[] = []): Set<string> {
  if (located.kind === "list") return new Set(located.items.flatMap((item) => [...namespacesRead(item, axes)]));
  if (located.kind === "map")
    return new Set([...located.entries.values()].flatMap(({ value }) => [...namespacesRead(value, axes)]));
  const read = Array.from(String(located.value).matchAll(/\$\{([A-Za-z0-9_-]+)(\}?)/g));
  return new Set(read.filter(([, name, end]) => end === "" || !axes.includes(name!)).map(([, name]) => name!));
}

function lookUp(path: string, at: Located, scope: Scope, trail: readonly string[]): Located {
  if (Object.hasOwn(scope.matrix, path)) return { kind: "scalar", value: scope.matrix[path]!, where: at.where };
  if (trail.includes(path)) {
    throw new UserError(`The value "${path}" refers to itself: ${[...trail, path].join(" -> ")}.`, {
      code: "CIRCULAR_REFERENCE",
      where: at.where,
    });
  }
  const parts = path.split(".");
  const value = getPath(scope.params, parts);
  if (!value) {
    const parent = getPath(scope.params, parts.slice(0, -1));
    const siblings = parent?.kind === "map" ? [...parent.entries.keys()] : [];
    const names = parts.length === 1 ? [...Object.keys(scope.matrix), ...siblings] : siblings;
    throw new UserError(`"\${${path}}" names no value: ${whatIsMissing(scope.params, parts)}`, {
      code: "UNKNOWN_REFERENCE",
      where: at.where,
      hint: `${names.length > 0 ? `There are: ${names.join(", ")}.` : "It reads a matrix axis or a path below params."}${didYouMean(parts.at(-1)!, names)}`,
    });
  }
  return substitute(value, scope, [...trail, path]);
}

function whatIsMissing(params: LocatedMap, parts: readonly string[]): string {
  for (let length = 1; length <= parts.length; length++) {
    if (!getPath(params, parts.slice(0, length))) {
      return length === 1
        ? `no matrix axis and no params.${parts[0]}.`
        : `params.${parts.slice(0, length - 1).join(".")} has no "${parts[length - 1]}".`;
    }
  }
  return "";
}

/**
 * Every map's `extends: sibling` replaced by the sibling's entries with its own laid over them.
 * Throws UNKNOWN_EXTENDS or CIRCULAR_EXTENDS.
 */
export function resolveExtends(map: LocatedMap): LocatedMap {
  const done = new Map<string, Located>();
  const resolve = (name: string, trail: readonly string[]): Located => {
    const ready = done.get(name);
    if (ready) return ready;
    const entry = map.entries.get(name)!;
    let value: Located = entry.value.kind === "map" ? resolveExtends(withoutExtends(entry.value)) : entry.value;
    const parent = entry.value.kind === "map" ? entry.value.entries.get("extends")?.value : undefined;
    if (parent) {
      const parentName = parent.kind === "scalar" ? String(parent.value) : "";
      if (!map.entries.has(parentName)) {
        const names = [...map.entries.keys()].filter((key) => key !== name);
        throw new UserError(`"${name}" extends "${parentName}", which does not exist beside it.`, {
          code: "UNKNOWN_EXTENDS",
          where: parent.where,
          hint: `There are: ${names.join(", ")}.${didYouMean(parentName, names)}`,
        });
      }
      if (parentName === name || trail.includes(parentName)) {
        throw new UserError(`"extends" goes in a circle: ${[...trail, name, parentName].join(" -> ")}.`, {
          code: "CIRCULAR_EXTENDS",
          where: parent.where,
        });
      }
      value = mergeLocated(resolve(parentName, [...trail, name]), value)!;
    }
    done.set(name, value);
    return value;
  };
  const entries = [...map.entries].map(([key, entry]) => [key, { ...entry, value: resolve(key, []) }] as const);
  return { ...map, entries: new Map(entries) };
}

function withoutExtends(map: LocatedMap): LocatedMap {
  if (!map.entries.has("extends")) return map;
  return { ...map, entries: new Map([...map.entries].filter(([key]) => key !== "extends")) };
}
