// The whole published evaluation splits, one a benchmark: HellaSwag and WinoGrande publish no labelled test split.

import { type Dataset, localFile, PLAIN_TEXT } from "./dataset.ts";

/** The local and the bundled HellaSwag; benchmarks-hub has the original columns. */
export const REDUCED_HELLASWAG =
  "Items in a reduced form: the second half of a context is not capitalised and endings lose leading spaces, so requests are not those of lm-evaluation-harness byte for byte.";

export const benchmarksFull: Dataset = {
  name: "benchmarks-full",
  kind: "benchmark",
  license: "CC-BY-4.0 AND CC-BY-SA-4.0 AND MIT",
  homepage: "https://github.com/alexwarstadt/blimp",
  language: "en",
  description: "BLiMP, HellaSwag, ARC-Easy, ARC-Challenge, WinoGrande, MMLU and GSM8K, every item.",
  size: "97,218 items, 7.3 MB",
  columns: [
    ...["sentence_good", "sentence_bad", "field", "linguistics_term", "UID", "simple_LM_method", "one_prefix_method"],
    ...["two_prefix_method", "lexically_identical", "pairID", "ind_in_split", "query", "endings", "label", "id"],
    ...["question", "choices", "answerKey", "sentence", "option1", "option2", "answer", "subject"],
  ],
  files: [
    {
      ...localFile(
        "eval/blimp.jsonl.gz",
        "jsonl.gz",
        1_847_520,
        "b6eff4e82fb6c6f01bfc95fa19b8767e1ef8470bdb4590c012c1b3727b419124",
      ),
      benchmark: "blimp",
    },
    {
      ...localFile(
        "eval/hellaswag-validation.jsonl.gz",
        "jsonl.gz",
        2_791_456,
        "223fb19b81bc2e775621bcf7c7811152d168e647e45d7e5c250bfc0fc2425adb",
      ),
      benchmark: "hellaswag",
      note: REDUCED_HELLASWAG,
    },
    {
      ...localFile(
        "eval/arc-easy-test.jsonl.gz",
        "jsonl.gz",
        206_850,
        "33ed6be13058bc264cb9d0a056660b4c1479f95b7bd0b0a12cc802df67c8b361",
      ),
      benchmark: "arc-easy",
    },
    {
      ...localFile(
        "eval/arc-challenge-test.jsonl.gz",
        "jsonl.gz",
        119_493,
        "9f99451a1edd52152a828e29932fd0814852f7055fb163d880fd3ce764c84c42",
      ),
      benchmark: "arc-challenge",
    },
    {
      ...localFile(
        "eval/winogrande-xl-validation.jsonl.gz",
        "jsonl.gz",
        51_051,
        "4c5f8dd6649d34f3c862e73c1bced1b0624585b98ce7df1302898c7d697ac2da",
      ),
      benchmark: "winogrande",
    },
    {
      ...localFile(
        "eval/mmlu-test.jsonl.gz",
        "jsonl.gz",
        2_029_096,
        "a8c999f328f189da13b8d3cb41838f0b9419e872e970a9c9e289b33fc6f23e8a",
      ),
      benchmark: "mmlu",
    },
    {
      ...localFile(
        "eval/gsm8k-main-test.jsonl.gz",
        "jsonl.gz",
        241_540,
        "7dd1b171cc97d1868e8cecc6286d7a21e4b2d116d31610895e42e56aa87344e4",
      ),
      benchmark: "gsm8k",
    },
  ],
  text: PLAIN_TEXT,
};
