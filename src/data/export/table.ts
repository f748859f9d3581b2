// A table on its way to a file of another program: typed columns, some rows at a time.

/** Null is possible in any column, and in a list of `double[]`. */
export type ExportType = "text" | "bool" | "int" | "long" | "double" | "int[]" | "double[]" | "text[]";

export interface ExportColumn {
  readonly name: string;
  readonly type: ExportType;
}

type Scalar = string | boolean | number | bigint | null;

export type ExportValue = Scalar | Int32Array | readonly Scalar[];

/** Some rows: the values of each column, in the order of the columns and all of one length. */
export interface ExportBatch {
  readonly rows: number;
  readonly values: readonly (readonly ExportValue[])[];
}

export interface ExportTable {
  readonly columns: readonly ExportColumn[];
  batches(): AsyncIterable<ExportBatch> | Iterable<ExportBatch>;
}

/** Takes batches in their order. `abort` leaves nothing behind. */
export interface TableWriter {
  write(batch: ExportBatch): void | Promise<void>;
  finish(): Promise<void>;
  abort(): void | Promise<void>;
}
