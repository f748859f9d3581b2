// One spelling per value: keys sorted by UTF-8 bytes, no white space, numbers as ECMAScript prints them
// (RFC 8785 in spirit). Digests are taken of these bytes, so two runs that mean the same have the same key.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * The canonical text of a value. Members that are `undefined` are left out.
 * Throws a TypeError for what JSON cannot say exactly: NaN, infinities, functions, bigints, lone surrogates.
 */
export function canonicalJson(value: unknown): string {
  return write(value, "$");
}

/** The same value for readers: sorted keys, two spaces of indent, a final newline. */
export function prettyCanonicalJson(value: unknown): string {
  return `${JSON.stringify(JSON.parse(canonicalJson(value)), null, 2)}\n`;
}

function write(value: unknown, path: string): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return writeString(value, path);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError(`${path} is ${value}, which canonical JSON cannot hold`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item, index) => write(item, `${path}[${index}]`)).join(",")}]`;
  if (typeof value === "object") {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([a], [b]) => compareUtf8(a, b));
    return `{${members.map(([key, member]) => `${writeString(key, path)}:${write(member, `${path}.${key}`)}`).join(",")}}`;
  }
  throw new TypeError(`${path} is a ${typeof value}, which canonical JSON cannot hold`);
}

function writeString(text: string, path: string): string {
  if (!text.isWellFormed()) throw new TypeError(`${path} holds a lone surrogate, which UTF-8 cannot encode`);
  return JSON.stringify(text);
}

/** Order of the UTF-8 encodings, which is the order of code points (UTF-16 order differs above U+FFFF). */
export function compareUtf8(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return codePointRank(left) - codePointRank(right);
  }
  return a.length - b.length;
}

/** Of the first unit that differs: surrogates, which spell the highest code points, come after U+FFFF. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
