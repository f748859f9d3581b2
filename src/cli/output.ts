// What a command prints: text for people, or one JSON document with --json.

import { formatUserError, messageOf, UserError } from "../util/errors.ts";

export const EXIT = { done: 0, stageFailed: 1, usage: 2, difference: 3 } as const;

/** Print a result on standard output. */
export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/**
 * A text of somebody else's for a terminal: control characters other than newline and tab, and marks that turn the
 * direction of writing, are spelled out, so that none of them acts.
 */
export function printable(text: string): string {
  const spelled = (character: string) => `\\u{${character.codePointAt(0)!.toString(16)}}`;
  return text.replace(/(?![\n\t])[\p{Cc}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu, spelled);
}

/** Rows as aligned columns, two spaces apart; the last column is not padded. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  }
  const line = (row: readonly string[]) =>
    row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index]!))).join("  ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
}

/**
 * Report what was thrown and return the exit code: a UserError without a stack, anything else with one.
 */
export function reportError(error: unknown, json: boolean): number {
  if (error instanceof UserError) {
    const { code, message, where, hint, exitCode } = error;
    if (json) printJson({ error: { code, message, where, hint } });
    else process.stderr.write(`${formatUserError(error)}\n`);
    return exitCode;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  process.stderr.write(`Internal error: this is a bug in stlm-pipeline.\n${stack}\n`);
  return EXIT.stageFailed;
}
