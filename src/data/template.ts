// Text templates: `{text}` or `Question: {conversations.0.value}` with the values of a row put in.

export interface Template {
  /** First names of the paths, each once, in order: the columns that a reader has to fetch. */
  readonly columns: readonly string[];
  /** The document of a row. Throws an Error that names the missing path and the row's own names. */
  render(row: unknown): string;
}

const PLACE = /\{([^{}\s]+)\}/g;

/** Whether a template has any `{path}`. */
export function namesColumn(template: string): boolean {
  return template.search(PLACE) >= 0;
}

/** A template without any `{path}` makes the same document of every row, so it is refused with an Error. */
export function compileTemplate(template: string): Template {
  const literals: string[] = [];
  const paths: string[][] = [];
  let end = 0;
  for (const match of template.matchAll(PLACE)) {
    literals.push(template.slice(end, match.index));
    paths.push(match[1]!.split("."));
    end = match.index + match[0].length;
  }
  const tail = template.slice(end);
  if (paths.length === 0) throw new Error(`the template "${template}" names no column, as {text} would`);
  return {
    columns: [...new Set(paths.map((path) => path[0]!))],
    render(row) {
      let text = "";
      for (const [index, path] of paths.entries()) text += literals[index]! + lookUp(row, path);
      return text + tail;
    },
  };
}

function lookUp(row: unknown, path: readonly string[]): string {
  let value = row;
  for (const [depth, name] of path.entries()) {
    // Own members only: `{constructor}` is a typing mistake, not a function.
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) {
      const known = typeof value === "object" && value !== null ? Object.keys(value).slice(0, 12) : [];
      const holder = depth === 0 ? "the row" : `{${path.slice(0, depth).join(".")}}`;
      const has = known.length > 0 ? `${holder} has ${known.join(", ")}` : `${holder} has no members`;
      throw new Error(`there is no {${path.slice(0, depth + 1).join(".")}}: ${has}`);
    }
    value = (value as Record<string, unknown>)[name];
  }
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new Error(`{${path.join(".")}} is ${value === null ? "null" : "not text"}`);
}
