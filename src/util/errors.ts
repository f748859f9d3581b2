// What a user can fix is a UserError: it prints without a stack. Anything else is a bug and prints with one.

/** Where a mistake stands: a file with a position, or a path inside a configuration. */
export interface ErrorPlace {
  readonly file?: string;
  /** 1-based. */
  readonly line?: number;
  /** 1-based. */
  readonly column?: number;
  /** Dotted path of the value, `stages.train.params.model`. */
  readonly path?: string;
}

export interface UserErrorOptions {
  /** Machine-readable, SCREAMING_SNAKE_CASE, stable across releases. */
  readonly code: string;
  readonly where?: ErrorPlace | undefined;
  /** What to do next, in the user's words. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  /** 2 for usage and configuration (the default), 1 for a stage that failed, 3 for an audit that found a difference. */
  readonly exitCode?: 1 | 2 | 3;
}

export class UserError extends Error {
  readonly code: string;
  readonly where: ErrorPlace | undefined;
  readonly hint: string | undefined;
  readonly exitCode: 1 | 2 | 3;

  constructor(message: string, options: UserErrorOptions) {
    super(message, { cause: options.cause });
    this.name = "UserError";
    this.code = options.code;
    this.where = options.where;
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? 2;
  }
}

/** Known by its fields: a stage's bundle has a copy of our class. */
export function isUserError(error: unknown): error is UserError {
  return (
    error instanceof UserError || (error instanceof Error && "code" in error && "where" in error && "hint" in error)
  );
}

/** `pipeline.yaml:31:12   stages.train.params.model` */
export function formatPlace(place: ErrorPlace): string {
  const position = [place.file, place.line, place.column].filter((part) => part !== undefined).join(":");
  return [position, place.path].filter((part) => part !== undefined && part !== "").join("   ");
}

/** The whole message as a user sees it, several lines, without a trailing newline. */
export function formatUserError(error: UserError): string {
  const lines = [`${error.message} (${error.code})`];
  if (error.where) lines.push(`  ${formatPlace(error.where)}`);
  if (error.hint) lines.push(...error.hint.split("\n").map((line) => `  ${line}`));
  return lines.join("\n");
}

/** The nearest of `candidates` to `word` by edit distance, or undefined when none is close enough to be a typo. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** ` Did you mean "gpt"?`, or an empty string. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const best = closest(word, candidates);
  return best === undefined ? "" : ` Did you mean "${best}"?`;
}

/** Levenshtein distance by dynamic programming over one row. */
function editDistance(a: string, b: string): number {
  const row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    let diagonal = row[0]!;
    row[0] = i;
    for (let j = 1; j <= b.length; j++) {
      const above = row[j]!;
      row[j] = Math.min(above + 1, row[j - 1]! + 1, diagonal + (a[i - 1] === b[j - 1] ? 0 : 1));
      diagonal = above;
    }
  }
  return row[b.length]!;
}

/** The text of anything thrown, for messages that quote a cause. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a Node.js system error (`ENOENT`, `ENOSPC`, ...), or undefined. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
