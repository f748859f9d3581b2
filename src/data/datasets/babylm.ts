// BabyLM's strict-small track: ten million words of the kind that children meet (Warstadt et al. 2023). The files are
// lines of speech and prose without document marks, so they are cut into pieces of about 16 kB at line ends.

import { type Dataset, hubFile } from "./dataset.ts";

const PARTS = ["bnc_spoken", "childes", "gutenberg", "open_subtitles", "simple_wiki", "switchboard"];

export const babylm: Dataset = {
  name: "babylm",
  kind: "text",
  license: "LicenseRef-mixed",
  homepage: "https://babylm.github.io",
  language: "en",
  description: "BabyLM 2026, strict-small: child-directed speech, dialogue, children's books, subtitles, simple wiki.",
  size: "10 M words",
  files: PARTS.map((part) =>
    hubFile(
      "BabyLM-community/BabyLM-2026-Strict-Small",
      "c92ab16b4f08858304b0815706065b3354d8fc0a",
      `${part}.train.txt`,
      "txt",
    ),
  ),
  text: { template: "{text}", documentBytes: 16_384 },
  remark:
    "Lines without document marks, cut at line ends into documents of about 16 kB: a choice of ours. The sizes and digests of the files are not known to us.",
};
