// BabyLM's two strict tracks: ten and a hundred million words of the kind that children meet (Warstadt et al. 2023). The
// files are lines of speech and prose without document marks, so they are cut into pieces of about 16 kB at line ends.

import { type Dataset, hubFile } from "./dataset.ts";

const PARTS = ["bnc_spoken", "childes", "gutenberg", "open_subtitles", "simple_wiki", "switchboard"];

const CUT =
  "Lines without document marks, cut at line ends into documents of about 16 kB: a choice of ours. The sizes and digests of the files are not known to us.";

function track(name: string, repository: string, revision: string, words: string, remark: string): Dataset {
  return {
    name,
    kind: "text",
    license: "LicenseRef-mixed",
    homepage: "https://babylm.github.io",
    language: "en",
    description: `BabyLM 2026, ${repository.endsWith("Small") ? "strict-small" : "strict"}: child-directed speech, dialogue, children's books, subtitles, simple wiki.`,
    size: words,
    columns: ["text"],
    files: PARTS.map((part) => hubFile(`BabyLM-community/${repository}`, revision, `${part}.train.txt`, "txt")),
    text: { template: "{text}", documentBytes: 16_384 },
    remark,
  };
}

export const babylm = track(
  "babylm",
  "BabyLM-2026-Strict-Small",
  "c92ab16b4f08858304b0815706065b3354d8fc0a",
  "10 M words",
  CUT,
);

export const babylm100m = track(
  "babylm-100m",
  "BabyLM-2026-Strict",
  "9e57baaaa91ac3c638746be14d1d5fa6c789f4cf",
  "100 M words",
  `${CUT} Its file names are taken to be those of babylm, which we have not seen. The paper's code reads Sree1994/babylm_100M, which one user found to hold 10 M words.`,
);
