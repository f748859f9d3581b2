// The AI2 Reasoning Challenge (Clark et al. 2018, arXiv 1803.05457), its two test splits.

import { type Dataset, hubFile, PLAIN_TEXT } from "./dataset.ts";

function arc(name: "arc-easy" | "arc-challenge", config: string, rows: number, sha256: string): Dataset {
  const revision = "210d026faf9955653af8916fad021475a3f00453";
  const file = hubFile("allenai/ai2_arc", revision, `${config}/test-00000-of-00001.parquet`, "parquet", { sha256 });
  return {
    name,
    kind: "benchmark",
    license: "CC-BY-SA-4.0",
    homepage: "https://huggingface.co/datasets/allenai/ai2_arc",
    language: "en",
    description: `${config}: questions of school examinations with three to five answers to choose from.`,
    size: `${rows.toLocaleString("en-US")} items`,
    rows,
    columns: ["id", "question", "choices", "answerKey"],
    files: [{ ...file, benchmark: name }],
    text: PLAIN_TEXT,
  };
}

export const arcEasy = arc(
  "arc-easy",
  "ARC-Easy",
  2376,
  "4160597d618ae851c7eb04e281574f3f654776216ac6b6641588d64527b47177",
);

export const arcChallenge = arc(
  "arc-challenge",
  "ARC-Challenge",
  1172,
  "62f03257e737aed263f55c6abf87c7bb0028a44a6bdd2a26eb1279eb42c1d1e9",
);
