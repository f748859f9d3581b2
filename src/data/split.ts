// Which split a document belongs to: a keyed hash of its text decides, so it never moves when others are added.

import { createHmac } from "node:crypto";
import { z } from "zod";

export const splitNames = ["train", "validation", "test"] as const;
export type SplitName = (typeof splitNames)[number];

/** Shares of the documents, and the key: another key draws another split. */
export const splitSchema = z
  .strictObject({
    validation: z.number().min(0).max(0.5).default(0.05),
    test: z.number().min(0).max(0.5).default(0.05),
    key: z.string().min(1).default("stlm-split-v1"),
  })
  .refine((split) => split.validation + split.test < 1, "validation and test leave nothing to train on");

export type SplitRule = z.output<typeof splitSchema>;

/**
 * The split of a text whose SHA-256 is `hash`. HMAC-SHA-256 of it, as a fraction in [0, 1): the lowest share is test,
 * the next validation, so a larger validation share never touches the test split.
 */
export function splitOf(hash: Buffer, rule: SplitRule): SplitName {
  const mac = createHmac("sha256", rule.key).update(hash).digest();
  const fraction = mac.readUIntBE(0, 6) / 2 ** 48;
  if (fraction < rule.test) return "test";
  return fraction < rule.test + rule.validation ? "validation" : "train";
}
