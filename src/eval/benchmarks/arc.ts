// ARC: grade-school science questions with three to five answers (Clark et al. 2018), in an easy and a hard set.

import { z } from "zod";
import { type Benchmark, goldFirst, type Question } from "../item.ts";

const rowSchema = z
  .object({
    question: z.string(),
    choices: z.object({ text: z.array(z.string()).min(2), label: z.array(z.string()) }),
    answerKey: z.string(),
  })
  .refine(({ choices, answerKey }) => choices.label.includes(answerKey), { message: "answerKey is not a label" })
  .refine(({ choices }) => choices.label.length === choices.text.length, { message: "a label for each text" });

/** Labels are A to E or 1 to 5, so the right answer is found by the key's place among them. */
function question(row: unknown): Question {
  const { question, choices, answerKey } = rowSchema.parse(row);
  const gold = choices.label.indexOf(answerKey);
  const worded = (context: string) => ({
    gold,
    choices: choices.text.map((text) => ({ context, continuation: ` ${text}` })),
  });
  return {
    subtask: "",
    cluster: "",
    wordings: { harness: worded(`Question: ${question}\nAnswer:`), stlm: goldFirst(worded(question)) },
  };
}

/** One of the two sets: they differ in nothing but their questions. */
export function arc(title: string, set: "ARC-Easy" | "ARC-Challenge"): Benchmark {
  const task = set.toLowerCase().replace("-", "_");
  return {
    title,
    source: `Clark et al. 2018; allenai/ai2_arc ${set} test; lm-evaluation-harness ${task} 1`,
    weighting: "size",
    normalized: true,
    question,
  };
}
