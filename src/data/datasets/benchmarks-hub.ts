// The six benchmarks as the Hugging Face hub publishes them, at pinned revisions: every item, in the original columns,
// so that requests are lm-evaluation-harness's byte for byte.

import { blimpParadigms } from "./blimp-paradigms.ts";
import { type Dataset, type DatasetFile, hubFile, PLAIN_TEXT } from "./dataset.ts";

const ARC = "210d026faf9955653af8916fad021475a3f00453";

function parquet(
  benchmark: string,
  repository: string,
  revision: string,
  path: string,
  pin: { sha256?: string; bytes?: number } = {},
): DatasetFile {
  return { ...hubFile(repository, revision, path, "parquet", pin), benchmark };
}

export const benchmarksHub: Dataset = {
  name: "benchmarks-hub",
  kind: "benchmark",
  license: "CC-BY-4.0 AND CC-BY-SA-4.0 AND MIT",
  homepage: "https://huggingface.co/datasets/nyu-mll/blimp",
  language: "en",
  description: "BLiMP, HellaSwag, ARC-Easy, ARC-Challenge, WinoGrande and MMLU in their original columns, every item.",
  size: "95,899 items, 72 files",
  files: [
    // The hub's digests of these are not known to us: pinned on first use.
    ...blimpParadigms.map((paradigm) =>
      parquet(
        "blimp",
        "nyu-mll/blimp",
        "877fba0801ffb7cbd8c39c1ff314a46f053f6036",
        `${paradigm}/train-00000-of-00001.parquet`,
      ),
    ),
    parquet(
      "hellaswag",
      "Rowan/hellaswag",
      "218ec52e09a7e7462a5400043bb9a69a41d06b76",
      "data/validation-00000-of-00001.parquet",
      { bytes: 6_315_951, sha256: "899813071e1e95efafec90f856e1987d2150fa4d020fc005df6962c259f660cd" },
    ),
    parquet("arc-easy", "allenai/ai2_arc", ARC, "ARC-Easy/test-00000-of-00001.parquet", {
      sha256: "4160597d618ae851c7eb04e281574f3f654776216ac6b6641588d64527b47177",
    }),
    parquet("arc-challenge", "allenai/ai2_arc", ARC, "ARC-Challenge/test-00000-of-00001.parquet", {
      sha256: "62f03257e737aed263f55c6abf87c7bb0028a44a6bdd2a26eb1279eb42c1d1e9",
    }),
    // Pinned on first use as well.
    parquet(
      "winogrande",
      "allenai/winogrande",
      "01e74176c63542e6b0bcb004dcdea22d94fb67b5",
      "winogrande_xl/validation-00000-of-00001.parquet",
    ),
    parquet("mmlu", "cais/mmlu", "c30699e8356da336a370243923dbaf21066bb9fe", "all/test-00000-of-00001.parquet", {
      sha256: "74a41822ce7d3def56e1682f958469c04642a5336a5ce912fa375fdb90fb25d7",
    }),
  ],
  text: PLAIN_TEXT,
};
