// What a multiple-choice question is, whatever benchmark it comes from, and how the two protocols word it.

import { digestOf, hexOf } from "../util/digest.ts";

/**
 * How questions become text and scores.
 * `harness`: EleutherAI's lm-evaluation-harness 0.4, the log-probability of the continuation given the context.
 * `stlm`: Hillier et al. 2024 as their code does it, the log-probability of the whole string and its end of text.
 */
export const protocolNames = ["harness", "stlm"] as const;
export type Protocol = (typeof protocolNames)[number];

/** One answer to score. `continuation` opens with the delimiter, one space, that length normalisation leaves out. */
export interface Choice {
  readonly context: string;
  readonly continuation: string;
}

/** The choices under one protocol, and which of them is right. */
export interface Wording {
  readonly gold: number;
  readonly choices: readonly Choice[];
}

/** One row of a benchmark, worded for each protocol. */
export interface Question {
  /** BLiMP's paradigm, MMLU's subject; empty where the benchmark has no parts. */
  readonly subtask: string;
  /** Questions that share it are not independent: standard errors resample clusters. Empty: the question stands alone. */
  readonly cluster: string;
  readonly wordings: Readonly<Record<Protocol, Wording>>;
}

export interface Item extends Wording {
  /** 16 hexadecimal digits of the digest of the question's text: the same in every subset, order and protocol. */
  readonly id: string;
  readonly task: string;
  readonly subtask: string;
  readonly cluster: string;
}

export interface Benchmark {
  /** As it is printed in a table. */
  readonly title: string;
  /** Where it comes from, and the version of the harness's task that it follows. */
  readonly source: string;
  /** How subtasks make one figure: `plain` is their mean, `size` weighs each by its number of items. */
  readonly weighting: "plain" | "size";
  /** Whether accuracies by length-normalised scores are reported beside the plain one. */
  readonly normalized: boolean;
  /** The question in a row of the published file. Throws a ZodError for a row that has other columns. */
  question(row: unknown): Question;
}

/** The right choice first, then the others in their order: how the paper's code lists options. */
export function goldFirst(wording: Wording): Wording {
  const gold = wording.choices[wording.gold]!;
  return { gold: 0, choices: [gold, ...wording.choices.filter((_, index) => index !== wording.gold)] };
}

/** A question of `task` as `protocol` words it. `occurrence` counts earlier questions with the same text. */
function makeItem(task: string, question: Question, protocol: Protocol, occurrence: number): Item {
  const { subtask, cluster, wordings } = question;
  const { gold, choices } = wordings.harness;
  const digest = digestOf("stlm.item.v1", { task, subtask, gold, choices, ...(occurrence > 0 && { occurrence }) });
  const id = hexOf(digest).slice(0, 16);
  return { id, task, subtask, cluster: cluster || id, ...wordings[protocol] };
}

/** Items in the order of the questions. The few questions that a benchmark holds twice get ids of their own. */
export function makeItems(task: string, questions: Iterable<Question>, protocol: Protocol): Item[] {
  const occurrences = new Map<string, number>();
  return Array.from(questions, (question) => {
    const first = makeItem(task, question, protocol, 0);
    const occurrence = occurrences.get(first.id) ?? 0;
    occurrences.set(first.id, occurrence + 1);
    return occurrence === 0 ? first : makeItem(task, question, protocol, occurrence);
  });
}
