// The slice of the validation split that is watched during training: always the same documents, so that the curve's
// noise is the model's alone.

import { setImmediate } from "node:timers/promises";
import { scoreDocuments } from "./document-scores.ts";
import type { LanguageModel } from "./language-model.ts";

export interface HeldOutDocument {
  /** Without end-of-text. */
  readonly ids: Int32Array;
  /** UTF-8 length of the text. */
  readonly bytes: number;
}

/** Whole documents from the first on, until together they have at least `tokens` tokens. */
export function leadingDocuments(documents: Iterable<HeldOutDocument>, tokens: number): HeldOutDocument[] {
  const slice: HeldOutDocument[] = [];
  let count = 0;
  for (const document of documents) {
    slice.push(document);
    count += document.ids.length;
    if (count >= tokens) break;
  }
  return slice;
}

/**
 * Mean loss in nats per token and bits per byte over the documents' own tokens (see `scoreDocuments`; the end-of-text
 * after a document is not counted). NaN without documents. Throws the signal's reason when it is aborted.
 */
export async function evaluateHeldOut(
  model: LanguageModel,
  documents: readonly HeldOutDocument[],
  endOfText: number,
  signal: AbortSignal,
): Promise<{ readonly loss: number; readonly bitsPerByte: number }> {
  const bytes = documents.reduce((sum, document) => sum + document.bytes, 0);
  let nats = 0;
  let tokens = 0;
  const ids = documents.map((document) => document.ids);
  for (const score of scoreDocuments(model, ids, endOfText)) {
    nats += score.nats;
    tokens += score.tokens;
    await setImmediate(); // lets signals in
    signal.throwIfAborted();
  }
  return { loss: nats / tokens, bitsPerByte: nats / bytes / Math.LN2 };
}
