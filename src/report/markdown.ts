// Markdown for people: tables, numbers and plurals in one spelling, whatever the locale.

import { markdownTable } from "markdown-table";
import { type Digest, shortDigest } from "../util/digest.ts";

export type Align = "left" | "right";

/** A table whose columns line up in the source too. A bar inside a cell is escaped. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  align: readonly Align[],
): string {
  const lines = [header, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  return markdownTable(lines, { align: [...align] });
}

/** `12.50`, with a true minus sign; thousands are grouped; never `-0.0`. */
export function formatNumber(value: number, digits: number): string {
  const text = Math.abs(value).toFixed(digits);
  const [whole, fraction] = text.split(".");
  const grouped = whole!.replace(/\B(?=(\d{3})+$)/g, ",");
  const sign = value < 0 && Number(text) !== 0 ? "−" : "";
  return sign + grouped + (fraction === undefined ? "" : `.${fraction}`);
}

/** `1.23e+17` as `1.23 × 10¹⁷`. */
export function formatPower(value: number): string {
  if (value === 0) return "0";
  const [mantissa, exponent] = value.toExponential(2).split("e");
  const superscript = [...String(Number(exponent))].map((digit) =>
    digit === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]!,
  );
  return `${mantissa} × 10${superscript.join("")}`;
}

/** `p` as `0.034`, or `< 0.001`. */
export function formatP(p: number): string {
  return p < 0.001 ? "< 0.001" : formatNumber(p, 3);
}

/** `1 run`, `2 runs`. */
export function plural(count: number, noun: string): string {
  return `${formatNumber(count, 0)} ${noun}${count === 1 ? "" : "s"}`;
}

/** `a`, `a and b`, `a, b and c`. */
export function enumerate(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** The short hash that `stlm-pipeline audit` resolves, as code. */
export function cite(digest: string): string {
  return `\`${shortDigest(digest as Digest)}\``;
}
