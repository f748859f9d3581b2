// dataset.json: what the download stage recorded about a data set (docs/artifacts.md, "dataset").

import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { isDigest } from "../../util/digest.ts";
import { messageOf, UserError } from "../../util/errors.ts";
import { fileFormats } from "./dataset.ts";

const textSchema = z.strictObject({
  template: z.string(),
  separator: z.string().optional(),
  documentBytes: z.int().optional(),
  score: z.string().optional(),
});

const manifestSchema = z.strictObject({
  name: z.string(),
  kind: z.enum(["text", "benchmark"]),
  license: z.string(),
  homepage: z.string(),
  files: z.array(
    z.strictObject({
      path: z.string(),
      bytes: z.int(),
      sha256: z.string().refine(isDigest),
      format: z.enum(fileFormats),
      benchmark: z.string().optional(),
      note: z.string().optional(),
      text: textSchema.optional(),
      sourceName: z.string().optional(),
    }),
  ),
  text: textSchema,
});

export type DatasetManifest = z.output<typeof manifestSchema>;
export type ManifestFile = DatasetManifest["files"][number];

/** Throws a UserError when `folder` is no `dataset` artifact. */
export function readDatasetManifest(folder: string): DatasetManifest {
  const file = path.join(folder, "dataset.json");
  try {
    return manifestSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new UserError(`${file} is not the description of a data set: ${messageOf(cause)}`, {
      code: "BAD_DATASET",
      hint: "The input must come from a download stage.",
      cause,
    });
  }
}
