// How the documents of shards were chosen and ordered: the parameters of the shard stage, and what they did.

import { z } from "zod";

const count = z.int().min(0);

/** Broder 1997; the values are argued in docs/decisions/0007-near-duplicates.md. */
export const nearDuplicateSchema = z.strictObject({
  threshold: z
    .number()
    .gt(0)
    .max(1)
    .default(0.8)
    .describe("Documents whose Jaccard similarity reaches this are near duplicates"),
  shingleWords: z.int().min(1).max(64).default(5).describe("Words of a shingle, normalised (src/data/words.ts)"),
  bands: z.int().min(1).max(256).default(16).describe("Bands of the signature; two documents that agree in one meet"),
  rows: z.int().min(1).max(64).default(8).describe("MinHash values of a band; bands x rows are computed"),
});

export type NearDuplicateRule = z.output<typeof nearDuplicateSchema>;

const scoreNames = ["length", "entropy", "rarity", "score"] as const;
export type ScoreName = (typeof scoreNames)[number];

export const orderSchema = z.strictObject({
  by: z
    .enum(scoreNames)
    .describe(
      "length: tokens; entropy: bits a token under the document's own frequencies; rarity: bits a token under those of the train split; score: the column that the data set names",
    ),
  descending: z.boolean().default(false).describe("The highest score first"),
});

export type Order = z.output<typeof orderSchema>;

/** Recorded in manifest.json; a member is absent where nothing of the kind was asked for. */
export const arrangementSchema = z.strictObject({
  /** The train split of each source is in this order; ties stay in the order of the corpus. */
  order: orderSchema.optional(),
  nearDuplicates: z
    .strictObject({
      ...nearDuplicateSchema.shape,
      /** Documents left out by the split that they were in. */
      removed: z.strictObject({ train: count, validation: count, test: count }),
      /** Of those in `removed.train`, copies of held-out documents. */
      acrossSplits: count,
    })
    .optional(),
});

export type Arrangement = z.output<typeof arrangementSchema>;
