// Scores items: the log-probability of every choice, and what follows from it (accuracy, ties, normalised accuracies).

import { setImmediate } from "node:timers/promises";
import type { LanguageModel } from "../models/language-model.ts";
import type { Item } from "./item.ts";
import type { ItemRow } from "./items.ts";
import { codePoints } from "./python-text.ts";
import { buildRequest, type ChoiceRequest, type RequestOptions, type Window } from "./requests.ts";

/** Ids handed to the model at once, padding included: enough for full batches, few enough to stop in between. */
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
  const scores = await scoreWindows(
    model,
    requests.flat().flatMap(({ windows }) => windows),
    options,
  );
  let next = 0;
  const logProbOf = ({ windows }: ChoiceRequest) => windows.reduce((sum) => sum + scores[next++]!, 0);
  return items.map((item, index) => {
    const ofItem = requests[index]!;
    return judge(item, index, ofItem, ofItem.map(logProbOf));
  });
}

/** The sum of log-probabilities of each window's scored ids, nats. */
async function scoreWindows(
  model: LanguageModel,
  windows: readonly Window[],
  { signal, onProgress }: ScoreOptions,
): Promise<Float64Array> {
  const sums = new Float64Array(windows.length);
  let done = 0;
  for (const batch of batchesByLength(windows)) {
    signal?.throwIfAborted();
    const logProbs = model.logProbs(batch.map((index) => windows[index]!.ids));
    batch.forEach((index, row) => {
      const values = logProbs[row]!;
      let sum = 0;
      for (let t = values.length - windows[index]!.scored; t < values.length; t++) sum += values[t]!;
      sums[index] = sum;
    });
    done += batch.length;
    onProgress?.(done, windows.length);
    await setImmediate(); // lets a signal and the progress line through
  }
  return sums;
}

/** Indices of windows, longest first so that memory peaks at once and rows of a batch need little padding. */
function* batchesByLength(windows: readonly Window[]): Generator<number[]> {
  const order = windows.map((_, index) => index);
  order.sort((a, b) => windows[b]!.ids.length - windows[a]!.ids.length || a - b);
  for (let start = 0; start < order.length; ) {
    const size = Math.max(1, Math.floor(IDS_AT_ONCE / windows[order[start]!]!.ids.length));
    yield order.slice(start, start + size);
    start += size;
  }
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
