// GSM8K: word problems of grade school mathematics (Cobbe et al. 2021). Its answers have to be generated, so it is not among
// the benchmarks that are scored; whether its problems stand in the training text can be told all the same.

import { z } from "zod";
import type { Benchmark } from "../item.ts";

const rowSchema = z.object({ question: z.string(), answer: z.string() });

export const gsm8k: Pick<Benchmark, "title" | "source" | "question"> = {
  title: "GSM8K",
  source: "Cobbe et al. 2021; openai/gsm8k main test",
  question(row) {
    const { question, answer } = rowSchema.parse(row);
    const wording = { gold: 0, choices: [{ context: question, continuation: ` ${answer}` }] };
    return { subtask: "", cluster: "", wordings: { harness: wording, stlm: wording } };
  },
};
