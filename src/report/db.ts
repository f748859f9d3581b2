// The report's database: DuckDB in memory, one thread, so that sums are taken in one order and every figure is the same
// to the last bit. SQL computes; TypeScript resamples.

import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from "@duckdb/node-api";
import { messageOf, UserError } from "../util/errors.ts";

export type Value = string | number | boolean | null | readonly Value[];
export type Row = Readonly<Record<string, Value>>;

export class ReportDatabase {
  private constructor(
    private readonly instance: DuckDBInstance,
    private readonly connection: DuckDBConnection,
  ) {}

  /** An empty database that neither installs nor loads extensions. */
  static async open(): Promise<ReportDatabase> {
    const { DuckDBInstance } = await import("@duckdb/node-api");
    const instance = await DuckDBInstance.create(":memory:", { threads: "1", autoinstall_known_extensions: "false" });
    return new ReportDatabase(instance, await instance.connect());
  }

  /** All rows of a query. Integers come as numbers. */
  async query(sql: string, values: readonly DuckDBValue[] = []): Promise<Row[]> {
    const reader = await this.connection.runAndReadAll(sql, [...values]);
    return reader.getRowObjectsJS().map((row) => {
      return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]));
    });
  }

  async run(sql: string): Promise<void> {
    await this.connection.run(sql);
  }

  /** Creates a table with typed columns (`{ arm: "VARCHAR" }`) and fills it; a missing value is NULL. */
  async create(
    table: string,
    columns: Readonly<Record<string, string>>,
    rows: readonly Readonly<Record<string, Value | undefined>>[],
  ): Promise<void> {
    const names = Object.keys(columns);
    await this.run(`CREATE TABLE ${table} (${names.map((name) => `${name} ${columns[name]}`).join(", ")})`);
    for (const row of rows) {
      const literals = names.map((name) => `${literal(row[name] ?? null)}::${columns[name]}`);
      await this.run(`INSERT INTO ${table} VALUES (${literals.join(", ")})`);
    }
  }

  /** Appends a file's rows to `table`. `select` is SQL with `$FILE` in the place of the file's name. */
  async load(table: string, file: string, select: string): Promise<void> {
    try {
      await this.run(`INSERT INTO ${table} ${select.replace("$FILE", () => literal(file))}`);
    } catch (cause) {
      throw new UserError(`The report cannot read ${file}.`, {
        code: "REPORT_INPUT_UNREADABLE",
        where: { file },
        hint: `${messageOf(cause)}\nRun \`stlm-pipeline audit\` to find damaged artifacts; \`stlm-pipeline repro\` makes them again.`,
        cause,
      });
    }
  }

  close(): void {
    this.connection.closeSync();
    this.instance.closeSync();
  }
}

/** A value as SQL. Numbers keep every bit: JavaScript prints the shortest text that reads back the same. */
function literal(value: Value): string {
  if (value === null) return "NULL";
  if (typeof value === "string") return `'${value.replaceAll("'", "''")}'`;
  if (typeof value === "number") return Number.isFinite(value) ? `'${value}'` : "NULL";
  if (typeof value === "boolean") return String(value);
  return `[${value.map(literal).join(", ")}]`;
}

function plain(value: unknown): Value {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return value;
  }
  throw new TypeError(`A query of the report returned a ${typeof value}; cast it in SQL.`);
}
