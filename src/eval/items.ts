// The rows of an evaluation: one per benchmark item (items.parquet) and one per held-out document
// (documents.parquet). Reports compute from these rows alone, so they hold each score and what it was divided by.

import { type ColumnType, readParquet, writeParquet } from "./parquet.ts";

/**
 * One benchmark item. Lists have one element per choice, in the order that was scored. Where a log-probability
 * is not finite it is null, and so are all judgements of the item.
 */
export type ItemRow = {
  readonly task: string;
  /** BLiMP's paradigm, MMLU's subject, else empty. */
  readonly subtask: string;
  /** Hash of the item's text, the same for every model, subset and protocol: pair models by (task, item_id). */
  readonly item_id: string;
  /** Items that share it are not independent; an item alone is its own cluster. */
  readonly cluster: string;
  /** Place among the items that were scored, which keep the order of the files; from 0. */
  readonly item: number;
  readonly num_choices: number;
  readonly gold: number;
  /** First choice with the highest log-probability. */
  readonly prediction: number | null;
  /** The same after division by the choice's code points (`norm`) and UTF-8 bytes. */
  readonly prediction_norm: number | null;
  readonly prediction_bytes: number | null;
  readonly correct: boolean | null;
  readonly correct_norm: boolean | null;
  readonly correct_bytes: boolean | null;
  /** Several choices share the highest log-probability. */
  readonly tie: boolean | null;
  /** 1 divided by the number of such choices if the right one is among them, else 0: accuracy with ties split. */
  readonly credit: number | null;
  /** Log-probability of each choice's scored tokens, nats. */
  readonly log_probs: readonly (number | null)[];
  /** Tokens that were scored. */
  readonly tokens: readonly number[];
  /** Code points and UTF-8 bytes of the choice without the delimiter. */
  readonly characters: readonly number[];
  readonly bytes: readonly number[];
  /** A choice lost context on the left to the model's window. */
  readonly truncated: boolean;
};

export const itemColumns = {
  task: "VARCHAR",
  subtask: "VARCHAR",
  item_id: "VARCHAR",
  cluster: "VARCHAR",
  item: "INTEGER",
  num_choices: "INTEGER",
  gold: "INTEGER",
  prediction: "INTEGER",
  prediction_norm: "INTEGER",
  prediction_bytes: "INTEGER",
  correct: "BOOLEAN",
  correct_norm: "BOOLEAN",
  correct_bytes: "BOOLEAN",
  tie: "BOOLEAN",
  credit: "DOUBLE",
  log_probs: "DOUBLE[]",
  tokens: "INTEGER[]",
  characters: "INTEGER[]",
  bytes: "INTEGER[]",
  truncated: "BOOLEAN",
} as const satisfies Record<keyof ItemRow, ColumnType>;

/** One held-out document. `nats` covers its own tokens; the end of text that follows is apart. */
export type DocumentRow = {
  readonly split: string;
  /** Place in the split, from 0. */
  readonly document: number;
  /** Null where the model's log-probabilities are not finite. */
  readonly nats: number | null;
  readonly end_of_text_nats: number | null;
  readonly tokens: number;
  readonly bytes: number;
  /** Code points. */
  readonly characters: number;
};

export const documentColumns = {
  split: "VARCHAR",
  document: "INTEGER",
  nats: "DOUBLE",
  end_of_text_nats: "DOUBLE",
  tokens: "INTEGER",
  bytes: "INTEGER",
  characters: "INTEGER",
} as const satisfies Record<keyof DocumentRow, ColumnType>;

/** Writes items.parquet: the same rows give the same bytes. */
export function writeItems(file: string, rows: readonly ItemRow[]): Promise<void> {
  return writeParquet(file, itemColumns, rows);
}

/** Reads items.parquet, in its order. */
export async function readItems(file: string): Promise<ItemRow[]> {
  return (await readParquet(file, itemColumns)) as ItemRow[];
}

/** Writes documents.parquet: the same rows give the same bytes. */
export function writeDocuments(file: string, rows: readonly DocumentRow[]): Promise<void> {
  return writeParquet(file, documentColumns, rows);
}

/** Reads documents.parquet, in its order. */
export async function readDocuments(file: string): Promise<DocumentRow[]> {
  return (await readParquet(file, documentColumns)) as DocumentRow[];
}
