// The paper's own mix (Hillier et al. 2024, arXiv 2405.14159), four sets one after the other as its loader joins them:
// nothing is weighted.

import { joinDatasets } from "./join.ts";
import { openhermes } from "./openhermes.ts";
import { pythonCode500k } from "./python-code.ts";
import { simpleWikipedia } from "./simple-wikipedia.ts";
import { tinystories } from "./tinystories.ts";

export const stlmMix = {
  ...joinDatasets([simpleWikipedia, pythonCode500k, openhermes, tinystories]),
  name: "stlm-mix",
  homepage: "https://arxiv.org/abs/2405.14159",
  description: "The paper's mix: Simple English Wikipedia, Python code, OpenHermes 2.5 and TinyStories, each whole.",
  language: "en, python",
  size: "4 sets, about 3.9 M documents",
  remark:
    "Templates as in the paper's loader, but TinyStories by its one column {text}: the loader asks for {title} and {story}, which that set has not.",
};
