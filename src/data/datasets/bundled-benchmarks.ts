// Small, repeatable subsets of six benchmarks: items picked by sorting SHA-256 of their text
// (BLiMP's by paradigm and pair: scripts/make-blimp-subset.mjs).

import { REDUCED_HELLASWAG } from "./benchmarks-full.ts";
import { bundledFile, type Dataset, PLAIN_TEXT } from "./dataset.ts";

export const bundledBenchmarks: Dataset = {
  name: "bundled-benchmarks",
  kind: "benchmark",
  license: "CC-BY-4.0 AND CC-BY-SA-4.0 AND MIT",
  homepage: "https://github.com/alexwarstadt/blimp",
  language: "en",
  description:
    "Subsets of BLiMP (100 pairs a paradigm), HellaSwag, ARC-Easy, WinoGrande, MMLU (4 a subject) and GSM8K.",
  size: "7,628 items",
  columns: [
    ...["sentence_good", "sentence_bad", "field", "linguistics_term", "UID", "pairID", "ind_in_split", "query"],
    ...["endings", "label", "id", "question", "choices", "answerKey", "sentence", "option1", "option2", "answer"],
    ...["subject", "row"],
  ],
  files: [
    {
      ...bundledFile(
        "eval-blimp-6700.jsonl.gz",
        190_698,
        "d849bba5884e08f1158bcc70352ffc29b758d71b026f2b6f116fe34301a9d5ab",
      ),
      benchmark: "blimp",
    },
    {
      ...bundledFile(
        "eval-hellaswag-200.jsonl.gz",
        62_674,
        "1c2aeca5ab574cd0512178c68be4415956ff353a8d6ec6be583a63e672e57c3f",
      ),
      benchmark: "hellaswag",
      note: REDUCED_HELLASWAG,
    },
    {
      ...bundledFile(
        "eval-arc-easy-200.jsonl.gz",
        19_696,
        "7dfcc4e8d65ffba45c9eb757ee7835a4dcd5e13e698146c98db2296cee2a2fa1",
      ),
      benchmark: "arc-easy",
    },
    {
      ...bundledFile(
        "eval-winogrande-200.jsonl.gz",
        10_657,
        "f819939b7be6d3396057de95812ac7e0d3f583ec094d1f29c3196bf5ef4bf5e1",
      ),
      benchmark: "winogrande",
    },
    {
      ...bundledFile(
        "eval-mmlu-228.jsonl.gz",
        32_244,
        "ddd950950afa8a8c92ff83ac82bc8bf2a23dd3d1360b0346e023d5786d86f3f4",
      ),
      benchmark: "mmlu",
      note: "Only questions of under 1,200 characters.",
    },
    {
      ...bundledFile(
        "eval-gsm8k-100.jsonl.gz",
        20_532,
        "9fcc82c5edb980b37a640d9440af79453194b0e0fcb1ecef7e9dd367791a5ca3",
      ),
      benchmark: "gsm8k",
    },
  ],
  text: PLAIN_TEXT,
};
