// How probable a model finds whole documents. One rule for the curve watched in training and for evaluation: a document
// is preceded and followed by the end-of-text token and cut into disjoint windows of contextWindow tokens; its first
// token is predicted from the end-of-text before it, the first token of a later window from the last of the one before.

import { type LanguageModel, wholeWindow } from "./language-model.ts";

export interface DocumentScore {
  /** Sum of -log p over the document's own tokens. */
  readonly nats: number;
  readonly tokens: number;
  /** -log p of the end-of-text that follows: kept apart, because no byte of text stands for it. */
  readonly endOfTextNats: number;
}

/** Tokens handed to the model at once: enough to form batches, few enough that a caller can stop in between. */
const TOKENS_AT_ONCE = 8192;

/** Scores in the order of the documents (ids without end-of-text). A document's score never depends on the others. */
export function* scoreDocuments(
  model: LanguageModel,
  documents: Iterable<Int32Array>,
  endOfText: number,
): Generator<DocumentScore> {
  let batch: Int32Array[] = [];
  let tokens = 0;
  for (const document of documents) {
    batch.push(document);
    tokens += document.length + 1;
    if (tokens < TOKENS_AT_ONCE) continue;
    yield* scoreBatch(model, batch, endOfText);
    batch = [];
    tokens = 0;
  }
  yield* scoreBatch(model, batch, endOfText);
}

function scoreBatch(model: LanguageModel, documents: readonly Int32Array[], endOfText: number): DocumentScore[] {
  const windows = documents.map((document) => cut(document, endOfText, model.contextWindow));
  const values = model.logProbs(windows.flat().map(wholeWindow));
  let next = 0;
  return documents.map((document, d) => {
    let nats = 0;
    let last = 0;
    for (let w = 0; w < windows[d]!.length; w++) {
      for (const value of values[next++]!) {
        nats -= last;
        last = value;
      }
    }
    return { nats, tokens: document.length, endOfTextNats: -last };
  });
}

/** Sequences of at most contextWindow + 1 ids that overlap in one id, so that each token is predicted once. */
function cut(document: Int32Array, endOfText: number, contextWindow: number): Int32Array[] {
  const stream = new Int32Array(document.length + 2).fill(endOfText);
  stream.set(document, 1);
  const windows: Int32Array[] = [];
  for (let start = 0; start < stream.length - 1; start += contextWindow) {
    windows.push(stream.subarray(start, start + contextWindow + 1));
  }
  return windows;
}
