// WinoGrande: whom or what does the blank stand for (Sakaguchi et al. 2020). The harness scores the rest of the
// sentence after each option ("partial evaluation", Trinh & Le 2018); the paper scores the whole sentence.

import { z } from "zod";
import { type Benchmark, goldFirst, type Question } from "../item.ts";
import { strip } from "../python-text.ts";

const BLANK = "_";
const rowSchema = z.object({
  sentence: z.string().includes(BLANK),
  option1: z.string(),
  option2: z.string(),
  answer: z.enum(["1", "2"]),
});

export const winogrande: Benchmark = {
  title: "WinoGrande",
  source: "Sakaguchi et al. 2020; allenai/winogrande winogrande_xl validation; lm-evaluation-harness winogrande 1",
  weighting: "size",
  normalized: false,

  question(row: unknown): Question {
    const { sentence, option1, option2, answer } = rowSchema.parse(row);
    const options = [option1, option2];
    const gold = Number(answer) - 1;
    const blank = sentence.indexOf(BLANK);
    const continuation = ` ${strip(sentence.slice(blank + BLANK.length))}`;
    const harness = {
      gold,
      choices: options.map((option) => ({ context: sentence.slice(0, blank) + option, continuation })),
    };
    const filled = options.map((option) => ({
      context: "",
      continuation: ` ${sentence.replaceAll(BLANK, () => option)}`,
    }));
    // Sentences come in twins that turn on one word and offer the same two options.
    const cluster = [...options].sort().join(" / ");
    return { subtask: "", cluster, wordings: { harness, stlm: goldFirst({ gold, choices: filled }) } };
  },
};
