// Scores items: the log-probability of every choice, and what follows from it (accuracy, ties, normalised accuracies).

import { setImmediate } from "node:timers/promises";
import type { LanguageModel, Window } from "../models/language-model.ts";
import type { Item } from "./item.ts";
import type { ItemRow } from "./items.ts";
import { codePoints } from "./python-text.ts";
import { buildRequest, type ChoiceRequest, type RequestOptions } from "./requests.ts";

/** Ids handed to the model at once: enough for full batches, few enough to stop in between. */
const IDS_AT_ONCE = 8192;
const DELIMITER_LENGTH = 1;

export interface ScoreOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each batch with the number of windows done and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * One row per item, in their order. Log-probabilities come in fp32 and are summed in fp64, from left to right.
 * Throws the signal's reason when aborted, and UserError EMPTY_CONTINUATION for a choice without tokens.
 */
export async function scoreItems(
  model: LanguageModel,
  items: readonly Item[],
  request: Omit<RequestOptions, "contextWindow">,
  options: ScoreOptions = {},
): Promise<ItemRow[]> {
  const { contextWindow } = model;
  const requests = items.map(({ choices }) =>
    choices.map((choice) => buildRequest(choice, { ...request, contextWindow })),
  );
  const sums = await scoreWindows(
    model,
    requests.map((ofItem) => ofItem.flatMap(({ windows }) => windows)),
    options,
  );
  return items.map((item, index) => {
    const ofItem = requests[index]!;
    let next = 0;
    const logProbOf = ({ windows }: ChoiceRequest) => windows.reduce((sum) => sum + sums[index]![next++]!, 0);
    return judge(item, index, ofItem, ofItem.map(logProbOf));
  });
}

/** For each item's windows: the sum of log-probabilities of each one's scored ids, nats. */
async function scoreWindows(
  model: LanguageModel,
  items: readonly (readonly Window[])[],
  { signal, onProgress }: ScoreOptions,
): Promise<number[][]> {
  const sums: number[][] = items.map(() => []);
  const total = items.flat().length;
  let done = 0;
  for (const batch of batchesByLength(items)) {
    signal?.throwIfAborted();
    const logProbs = model.logProbs(batch.flatMap((index) => items[index]!));
    let next = 0;
    for (const index of batch) {
      for (const _ of items[index]!) sums[index]!.push(logProbs[next++]!.reduce((sum, value) => sum + value, 0));
    }
    done += next;
    onProgress?.(done, total);
    await setImmediate(); // lets a signal and the progress line through
  }
  return sums;
}

/**
 * Indices of items, the longest first so that memory peaks at once and a batch's windows are of about one length.
 * An item's choices stay together, because what their windows have in common is computed once.
 */
function* batchesByLength(items: readonly (readonly Window[])[]): Generator<number[]> {
  const longest = items.map((windows) => Math.max(...windows.map(({ ids }) => ids.length)));
  const order = [...items.keys()].sort((a, b) => longest[b]! - longest[a]! || a - b);
  let batch: number[] = [];
  let ids = 0;
  for (const index of order) {
    const added = items[index]!.reduce((sum, window) => sum + window.ids.length, 0);
    if (batch.length > 0 && ids + added > IDS_AT_ONCE) {
      yield batch;
      batch = [];
      ids = 0;
    }
    batch.push(index);
    ids += added;
  }
  if (batch.length > 0) yield batch;
}

/** The first of the largest values, as numpy's argmax: ties favour the lower index. */
function argmax(values: readonly number[]): number {
  return values.reduce((best, value, index) => (value > values[best]! ? index : best), 0);
}

/** The row of an item whose choices have these log-probabilities. */
export function judge(
  item: Item,
  index: number,
  requests: readonly Pick<ChoiceRequest, "tokens" | "truncated">[],
  logProbs: readonly number[],
): ItemRow {
  const texts = item.choices.map(({ continuation }) => continuation.slice(DELIMITER_LENGTH));
  const characters = texts.map(codePoints);
  const bytes = texts.map((text) => Buffer.byteLength(text));
  const facts = {
    task: item.task,
    subtask: item.subtask,
    item_id: item.id,
    cluster: item.cluster,
    item: index,
    num_choices: item.choices.length,
    gold: item.gold,
    log_probs: logProbs.map((value) => (Number.isFinite(value) ? value : null)),
    tokens: requests.map(({ tokens }) => tokens),
    characters,
    bytes,
    truncated: requests.some(({ truncated }) => truncated),
  };
  if (!logProbs.every(Number.isFinite)) return { ...facts, ...UNJUDGED };

  const prediction = argmax(logProbs);
  const prediction_norm = argmax(logProbs.map((value, i) => value / characters[i]!));
  const prediction_bytes = argmax(logProbs.map((value, i) => value / bytes[i]!));
  const best = logProbs.filter((value) => value === logProbs[prediction]).length;
  return {
    ...facts,
    prediction,
    prediction_norm,
    prediction_bytes,
    correct: prediction === item.gold,
    correct_norm: prediction_norm === item.gold,
    correct_bytes: prediction_bytes === item.gold,
    tie: best > 1,
    credit: logProbs[item.gold] === logProbs[prediction] ? 1 / best : 0,
  };
}

const UNJUDGED = {
  prediction: null,
  prediction_norm: null,
  prediction_bytes: null,
  correct: null,
  correct_norm: null,
  correct_bytes: null,
  tie: null,
  credit: null,
} as const;
