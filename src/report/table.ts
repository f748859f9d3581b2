// A report table is a query and its columns: SQL computes, the columns only format. Each number also becomes a cell of
// results.json, with its uncertainty and the digests of the artifacts it rests on.

import type { ReportDatabase, Row } from "./db.ts";
import { type Align, cite, formatNumber, formatP, formatPower, formatTable } from "./markdown.ts";

export interface Column {
  readonly label: string;
  /** Decimals of a number, or the name of the query's column that holds them. */
  readonly digits?: number | string;
  /** `power`: as a power of ten. `p`: a p-value. `code`: text as code. `digest`: short hashes. `signed`: with a plus. */
  readonly as?: "power" | "p" | "code" | "digest" | "signed";
  /** Name of the query's column that holds the standard error, printed after a ±. */
  readonly spread?: string;
  /** Names of the query's columns that hold a 95 % interval. */
  readonly interval?: readonly [low: string, high: string];
  /** Print `[low, high]` in place of the value. */
  readonly showInterval?: boolean;
  /** Which value is best. It is marked only where its interval excludes the intervals of all other ranked rows. */
  readonly best?: "min" | "max";
  /** Name of the query's column with the digests behind this number; default `digests`. */
  readonly digests?: string;
  /** Leave the column out where every row is empty. */
  readonly optional?: boolean;
}

export interface Table {
  /** First part of its cells' ids, kebab-case. */
  readonly name: string;
  readonly title: string;
  /** What the numbers are, in which unit, and what their uncertainty covers. */
  readonly caption: string | ((database: ReportDatabase) => Promise<string>);
  readonly sql: string;
  /** The query's columns whose values name a row in cell ids. */
  readonly key: readonly string[];
  readonly columns: Readonly<Record<string, Column>>;
  /** Name of a boolean column: only rows where it is true compete for `best`. */
  readonly ranked?: string;
  /** Sentences under the table, from its rows and the database. */
  readonly notes?: (rows: readonly Row[], database: ReportDatabase) => Promise<readonly string[]>;
}

/** One number of the report. */
export interface Cell {
  /** `results/baseline/val_bits_per_byte` */
  readonly id: string;
  readonly value: number;
  readonly se?: number;
  readonly low?: number;
  readonly high?: number;
  /** As it is printed. */
  readonly text: string;
  /** The artifacts behind it; empty for numbers that come from elsewhere, such as a paper. */
  readonly digests: readonly string[];
}

export interface RenderedTable {
  /** Title, table, caption and notes as Markdown; undefined where the query has no rows. */
  readonly markdown: string | undefined;
  readonly cells: readonly Cell[];
}

/** Gives a table file its type. */
export function defineTable(table: Table): Table {
  return table;
}

/** What stands where there is no number. */
export const EMPTY = "–";

export async function renderTable(database: ReportDatabase, table: Table): Promise<RenderedTable> {
  const rows = await database.query(table.sql);
  if (rows.length === 0) return { markdown: undefined, cells: [] };
  const columns = Object.entries(table.columns).filter(
    ([name, column]) => !column.optional || rows.some((row) => isPresent(row[name])),
  );
  const best = new Map(columns.map(([name, column]) => [name, bestRow(rows, name, column, table.ranked)]));
  const cells: Cell[] = [];
  const lines = rows.map((row) =>
    columns.map(([name, column]) => {
      const text = formatCell(row, name, column);
      const value = row[name];
      if (typeof value === "number") cells.push(cellOf(table, row, name, column, value, text));
      return best.get(name) === row ? `**${text}**` : text;
    }),
  );
  const align = columns.map(([name]): Align => (rows.some((row) => typeof row[name] === "number") ? "right" : "left"));
  const body = formatTable(
    columns.map(([, column]) => column.label),
    lines,
    align,
  );
  const notes = table.notes ? await table.notes(rows, database) : [];
  const caption = typeof table.caption === "string" ? table.caption : await table.caption(database);
  const text = [`**${table.title}.** ${caption}`, body, ...notes].join("\n\n");
  return { markdown: text, cells };
}

function isPresent(value: Row[string] | undefined): boolean {
  return value !== null && value !== undefined && !(Array.isArray(value) && value.length === 0);
}

function formatCell(row: Row, name: string, column: Column): string {
  const value = row[name];
  if (!isPresent(value)) return EMPTY;
  if (Array.isArray(value))
    return column.as === "digest" ? value.map((digest) => cite(String(digest))).join(" ") : value.join(", ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") {
    if (column.as === "digest") return cite(value);
    return column.as === "code" ? `\`${value}\`` : value;
  }
  return formatValue(row, value as number, column);
}

function formatValue(row: Row, value: number, column: Column): string {
  const digits = typeof column.digits === "string" ? Number(row[column.digits]) : (column.digits ?? 0);
  if (column.as === "power") return formatPower(value);
  if (column.as === "p") return formatP(value);
  const [low, high] = boundsOf(row, column);
  if (column.showInterval) {
    return low === undefined || high === undefined
      ? EMPTY
      : `[${formatNumber(low, digits)}, ${formatNumber(high, digits)}]`;
  }
  const text = formatNumber(value, digits);
  const signed = column.as === "signed" && value > 0 && Number(text.replaceAll(",", "")) !== 0 ? `+${text}` : text;
  const spread = column.spread === undefined ? null : row[column.spread];
  return typeof spread === "number" ? `${signed} ± ${formatNumber(spread, digits)}` : signed;
}

function boundsOf(row: Row, column: Column): [number | undefined, number | undefined] {
  if (!column.interval) return [undefined, undefined];
  const [low, high] = column.interval.map((name) => row[name]);
  return [typeof low === "number" ? low : undefined, typeof high === "number" ? high : undefined];
}

function cellOf(table: Table, row: Row, name: string, column: Column, value: number, text: string): Cell {
  const [low, high] = boundsOf(row, column);
  const spread = column.spread === undefined ? null : row[column.spread];
  const digests = row[column.digests ?? "digests"];
  return {
    id: [table.name, ...table.key.map((key) => String(row[key] ?? "all")), name].join("/"),
    value,
    ...(typeof spread === "number" && { se: spread }),
    ...(low !== undefined && { low }),
    ...(high !== undefined && { high }),
    text,
    digests: Array.isArray(digests) ? digests.map(String) : typeof digests === "string" ? [digests] : [],
  };
}

/** The row whose whole interval lies beyond the intervals of all others; undefined where noise could have chosen it. */
function bestRow(rows: readonly Row[], name: string, column: Column, ranked: string | undefined): Row | undefined {
  if (!column.best) return undefined;
  const field = rows.filter((row) => typeof row[name] === "number" && (ranked === undefined || row[ranked] === true));
  if (field.length < 2) return undefined;
  const sign = column.best === "min" ? 1 : -1;
  const winner = field.reduce((a, b) => (sign * (b[name] as number) < sign * (a[name] as number) ? b : a));
  const edge = (row: Row, side: 0 | 1) => boundsOf(row, column)[column.best === "min" ? side : ((1 - side) as 0 | 1)];
  const outer = edge(winner, 1);
  if (outer === undefined) return undefined;
  const clear = field.every((row) => {
    const inner = edge(row, 0);
    return row === winner || (inner !== undefined && sign * outer < sign * inner);
  });
  return clear ? winner : undefined;
}
