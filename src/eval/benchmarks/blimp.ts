// BLiMP: 67 paradigms of minimal pairs, one sentence grammatical, one not (Warstadt et al. 2020).

import { z } from "zod";
import type { Benchmark, Question } from "../item.ts";

const rowSchema = z.object({ sentence_good: z.string(), sentence_bad: z.string(), UID: z.string() });

export const blimp: Benchmark = {
  title: "BLiMP",
  source: "Warstadt et al. 2020; nyu-mll/blimp; lm-evaluation-harness blimp 2.0",
  weighting: "plain",
  normalized: false,

  question(row: unknown): Question {
    const { sentence_good, sentence_bad, UID } = rowSchema.parse(row);
    const choices = [sentence_good, sentence_bad].map((sentence) => ({ context: "", continuation: ` ${sentence}` }));
    const wording = { gold: 0, choices };
    return { subtask: UID, cluster: UID, wordings: { harness: wording, stlm: wording } };
  },
};
