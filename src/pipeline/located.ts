// Configuration values that remember where they were written, through merging, inheritance and substitution, so that
// every complaint can point at file:line:column.

import { Alias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { type ErrorPlace, UserError } from "../util/errors.ts";

export type Located = LocatedScalar | LocatedMap | LocatedList;

export interface LocatedScalar {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  readonly where: ErrorPlace;
}
export interface LocatedMap {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, LocatedEntry>;
  readonly where: ErrorPlace;
}
export interface LocatedEntry {
  /** Place of the key. */
  readonly keyWhere: ErrorPlace;
  readonly value: Located;
}
export interface LocatedList {
  readonly kind: "list";
  readonly items: readonly Located[];
  readonly where: ErrorPlace;
}

/** More than any lab repeats: what is longer is aliases of aliases. */
const MAX_ALIASED = 10_000;

/** Parse one YAML document. `file` is only for messages. Throws UserError INVALID_YAML with the position. */
export function parseLocated(text: string, file: string): Located {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: "1.2" });
  const place = (offset: number, path: string): ErrorPlace => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col, path };
  };
  const invalid = (what: string, where: ErrorPlace) =>
    new UserError(`${file} is not valid YAML: ${what}`, { code: "INVALID_YAML", where });
  const [error] = document.errors;
  if (error) {
    const what = error.code === "MULTIPLE_DOCS" ? "It holds several documents; one is read" : error.message;
    throw invalid(what, place(error.pos[0], ""));
  }
  /** The nodes that aliases stand for, around the present one. */
  const open = new Set<Node>();
  let aliased = 0;
  const build = (node: Node | null, path: string, fallback: ErrorPlace): Located => {
    const where = node?.range ? place(node.range[0], path) : { ...fallback, path };
    if (open.size > 0 && ++aliased > MAX_ALIASED)
      throw invalid(`Its aliases stand for more than ${MAX_ALIASED} values`, where);
    if (node instanceof Alias) {
      const target = node.resolve(document) as Node | undefined;
      if (!target || open.has(target)) throw invalid(`The alias *${node.source} stands inside of its own value`, where);
      open.add(target);
      const value = build(target, path, fallback);
      open.delete(target);
      return value;
    }
    if (isMap(node)) {
      const entries = new Map<string, LocatedEntry>();
      for (const pair of node.items) {
        const key = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
        const childPath = path === "" ? key : `${path}.${key}`;
        const keyRange = (pair.key as Node | null)?.range;
        const keyWhere = keyRange ? place(keyRange[0], childPath) : { ...where, path: childPath };
        entries.set(key, { keyWhere, value: build(pair.value as Node | null, childPath, keyWhere) });
      }
      return { kind: "map", entries, where };
    }
    if (isSeq(node)) {
      return {
        kind: "list",
        items: node.items.map((item, index) => build(item as Node | null, `${path}[${index}]`, where)),
        where,
      };
    }
    const value = isScalar(node) ? node.value : null;
    if (typeof value === "bigint" || value instanceof Date) return { kind: "scalar", value: String(value), where };
    return { kind: "scalar", value: value as LocatedScalar["value"], where };
  };
  return build(document.contents as Node | null, "", { file, line: 1, column: 1 });
}

export function emptyMap(where: ErrorPlace): LocatedMap {
  return { kind: "map", entries: new Map(), where };
}

/** The value without places. */
export function plain(located: Located): unknown {
  if (located.kind === "scalar") return located.value;
  if (located.kind === "list") return located.items.map(plain);
  return Object.fromEntries([...located.entries].map(([key, entry]) => [key, plain(entry.value)]));
}

/** `over` laid on `base`: maps merge key by key, anything else is replaced. */
export function mergeLocated(base: Located | undefined, over: Located | undefined): Located | undefined {
  if (!over) return base;
  if (base?.kind !== "map" || over.kind !== "map") return over;
  const entries = new Map(base.entries);
  for (const [key, entry] of over.entries) {
    const merged = mergeLocated(entries.get(key)?.value, entry.value);
    entries.set(key, { keyWhere: entry.keyWhere, value: merged! });
  }
  return { kind: "map", entries, where: over.where };
}

export function getMap(map: LocatedMap, key: string): LocatedMap | undefined {
  const value = map.entries.get(key)?.value;
  return value?.kind === "map" ? value : undefined;
}

/** The value at a path of keys and indices, or undefined. */
export function getPath(root: Located, path: readonly PropertyKey[]): Located | undefined {
  let here: Located | undefined = root;
  for (const part of path) {
    if (here?.kind === "map") here = here.entries.get(String(part))?.value;
    else if (here?.kind === "list") here = here.items[Number(part)];
    else return undefined;
  }
  return here;
}

/** Where the deepest existing part of a path was written; the key's own place where the last part is a key. */
export function placeOf(root: Located, path: readonly PropertyKey[]): ErrorPlace {
  let here: Located | undefined = root;
  let where = root.where;
  for (const part of path) {
    if (here?.kind === "map") {
      const entry: LocatedEntry | undefined = here.entries.get(String(part));
      if (!entry) break;
      where = entry.keyWhere;
      here = entry.value;
    } else if (here?.kind === "list") {
      here = here.items[Number(part)];
      if (!here) break;
      where = here.where;
    } else break;
  }
  return where;
}

/** A copy of `root` with `value` at a dotted path; maps on the way are made. */
export function setPath(root: LocatedMap, path: readonly string[], value: Located, keyWhere: ErrorPlace): LocatedMap {
  const [key, ...rest] = path;
  const entries = new Map(root.entries);
  const present = entries.get(key!)?.value;
  const child =
    rest.length === 0 ? value : setPath(present?.kind === "map" ? present : emptyMap(keyWhere), rest, value, keyWhere);
  entries.set(key!, { keyWhere, value: child });
  return { kind: "map", entries, where: root.where };
}
