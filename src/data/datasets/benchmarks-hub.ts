// The six benchmarks as the Hugging Face hub publishes them, at pinned revisions: every item, in the original columns,
// so that requests are lm-evaluation-harness's byte for byte.

import { arcChallenge, arcEasy } from "./arc.ts";
import { blimp } from "./blimp.ts";
import { type Dataset, PLAIN_TEXT } from "./dataset.ts";
import { hellaswag } from "./hellaswag.ts";
import { mmlu } from "./mmlu.ts";
import { winogrande } from "./winogrande.ts";

const SETS: readonly Dataset[] = [blimp, hellaswag, arcEasy, arcChallenge, winogrande, mmlu];

export const benchmarksHub: Dataset = {
  name: "benchmarks-hub",
  kind: "benchmark",
  license: "CC-BY-4.0 AND CC-BY-SA-4.0 AND MIT",
  homepage: "https://huggingface.co/datasets/nyu-mll/blimp",
  language: "en",
  description: "BLiMP, HellaSwag, ARC-Easy, ARC-Challenge, WinoGrande and MMLU in their original columns, every item.",
  size: "95,899 items, 72 files",
  rows: 95_899,
  columns: [...new Set(SETS.flatMap((set) => set.columns ?? []))],
  files: SETS.flatMap((set) => set.files.map((file) => ({ ...file, dropPath: `${set.name}/${file.path}` }))),
  text: PLAIN_TEXT,
  remark: "The hub's digests of BLiMP's and WinoGrande's files are not known to us: pinned on first use.",
};
