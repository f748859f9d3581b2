// OpenHermes 2.5 (Teknium 2023): the instruction part of the paper's mix.

import { type Dataset, FIRST_EXCHANGE, hubFile } from "./dataset.ts";

export const openhermes: Dataset = {
  name: "openhermes",
  kind: "text",
  license: "LicenseRef-mixed",
  homepage: "https://huggingface.co/datasets/teknium/OpenHermes-2.5",
  language: "en",
  description: "Conversations with language models, gathered from 16 open collections; the first exchange of each.",
  size: "1,001,551 conversations, 1.9 GB",
  rows: 1_001_551,
  columns: ["conversations", "source", "category", "skip_prompt_formatting"],
  files: [hubFile("teknium/OpenHermes-2.5", "05c3557e57b6dd1d0e0cb8369ba53b43e15fd10b", "openhermes2_5.json", "json")],
  text: FIRST_EXCHANGE,
  remark:
    "The template is the one of the paper's loader: the first two turns, even where the first is a system prompt.",
};
