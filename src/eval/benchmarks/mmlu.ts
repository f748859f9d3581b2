// MMLU: exam questions of 57 subjects with four answers (Hendrycks et al. 2021), asked without examples.

import { z } from "zod";
import { type Benchmark, goldFirst, type Question } from "../item.ts";
import { strip } from "../python-text.ts";

const LETTERS = ["A", "B", "C", "D"] as const;
const rowSchema = z.object({
  question: z.string(),
  subject: z.string(),
  choices: z.array(z.string()).length(LETTERS.length),
  answer: z.union([z.number(), z.bigint()]).transform(Number).pipe(z.int().min(0).max(3)),
});

export const mmlu: Benchmark = {
  title: "MMLU",
  source: "Hendrycks et al. 2021; cais/mmlu test; lm-evaluation-harness mmlu 2, 0-shot",
  weighting: "size",
  normalized: false,

  question(row: unknown): Question {
    const { question, subject, choices, answer: gold } = rowSchema.parse(row);
    const instruction = `The following are multiple choice questions (with answers) about ${subject.replaceAll("_", " ")}.`;
    const listed = choices.map((choice, index) => `${LETTERS[index]}. ${choice}`);
    const context = `${instruction}\n\n${[strip(question), ...listed].join("\n")}\nAnswer:`;
    const harness = { gold, choices: LETTERS.map((letter) => ({ context, continuation: ` ${letter}` })) };
    // The paper's code offers the right answer a second time among the wrong ones. A tie goes to the first, so
    // leaving that copy out changes no accuracy, and keeps our count of ties meaningful.
    const option = (choice: string) => ` Options: ${choices.join(";")}\n Answer: ${choice}`;
    const stlm = goldFirst({
      gold,
      choices: choices.map((choice) => ({ context: question, continuation: option(choice) })),
    });
    return { subtask: subject, cluster: subject, wordings: { harness, stlm } };
  },
};
