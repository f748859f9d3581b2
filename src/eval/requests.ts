// From a choice's text to the token ids that a model scores, by the rules of lm-evaluation-harness 0.4
// (lm_eval/api/model.py `_encode_pair`, lm_eval/models/huggingface.py `_loglikelihood_tokens`), or of the paper's code.

import type { Window } from "../models/language-model.ts";
import { UserError } from "../util/errors.ts";
import type { Choice, Protocol } from "./item.ts";
import { trimEnd } from "./python-text.ts";

/** What scoring needs of a tokenizer. */
export interface Encoder {
  readonly endOfText: number;
  encode(text: string): ArrayLike<number>;
}

/** One choice's windows: one, unless its scored tokens alone do not fit the model. */
export interface ChoiceRequest {
  readonly windows: readonly Window[];
  /** Tokens scored, over all windows. */
  readonly tokens: number;
  /** Context was cut off on the left. */
  readonly truncated: boolean;
}

export interface RequestOptions {
  readonly tokenizer: Encoder;
  readonly contextWindow: number;
  readonly protocol: Protocol;
}

export function buildRequest(choice: Choice, options: RequestOptions): ChoiceRequest {
  return options.protocol === "harness" ? harnessRequest(choice, options) : stlmRequest(choice, options);
}

function harnessRequest(choice: Choice, { tokenizer, contextWindow }: RequestOptions): ChoiceRequest {
  const { context, continuation } = encodePair(choice, tokenizer);
  const ids = Int32Array.from([...context, ...continuation]);
  return {
    windows: cutWindows(ids, continuation.length, contextWindow),
    tokens: continuation.length,
    truncated: ids.length > contextWindow + 1,
  };
}

/** Both parts as ids. They are never encoded apart: a merge may cross the seam. */
export function encodePair(choice: Choice, tokenizer: Encoder): { context: number[]; continuation: number[] } {
  const contextText = trimEnd(choice.context);
  const continuationText = choice.context.slice(contextText.length) + choice.continuation;
  const whole = Array.from(tokenizer.encode(contextText + continuationText));
  const length = contextText === "" ? 0 : tokenizer.encode(contextText).length;
  let context = whole.slice(0, length);
  let continuation = whole.slice(length);
  if (context.length === 0) {
    // Without context the model still has to see something: the end-of-text id, as at a document's start.
    const hasPrefix = continuation[0] === tokenizer.endOfText;
    context = [tokenizer.endOfText];
    continuation = hasPrefix ? continuation.slice(1) : continuation;
  }
  if (continuation.length === 0) {
    throw new UserError(`A benchmark's choice has no tokens of its own: ${JSON.stringify(choice)}.`, {
      code: "EMPTY_CONTINUATION",
      hint: "The choice is empty, or the tokenizer merges it whole into the context. Leave the row out of the data set.",
    });
  }
  return { context, continuation };
}

/** The paper's code: the whole string and an end of text, cut to the window, every token after the first scored. */
function stlmRequest(choice: Choice, { tokenizer, contextWindow }: RequestOptions): ChoiceRequest {
  const whole = Int32Array.from([
    ...Array.from(tokenizer.encode(choice.context + choice.continuation)),
    tokenizer.endOfText,
  ]);
  const ids = whole.slice(-Math.max(contextWindow, 2));
  if (ids.length < 2) {
    throw new UserError(`A benchmark's choice is empty: ${JSON.stringify(choice)}.`, {
      code: "EMPTY_CONTINUATION",
      hint: "Leave the row out of the data set.",
    });
  }
  return { windows: [{ ids, scored: ids.length - 1 }], tokens: ids.length - 1, truncated: ids.length < whole.length };
}

/**
 * The windows that score the last `scored` of `ids` once each. The harness keeps the last contextWindow + 1 ids and
 * refuses a continuation that is longer than the window. Tiny models do meet such (a long answer in bytes), so here
 * it is scored in consecutive windows, as the harness scores long documents: each opens with one token of context,
 * and the last reaches back as far as it can.
 */
function cutWindows(ids: Int32Array, scored: number, contextWindow: number): Window[] {
  const windows: Window[] = [];
  for (let start = ids.length - scored; start < ids.length; ) {
    const end = Math.min(ids.length, start + contextWindow);
    windows.push({ ids: ids.slice(Math.max(0, end - contextWindow - 1), end), scored: end - start });
    start = end;
  }
  return windows;
}
