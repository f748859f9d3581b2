// Where a text may be cut so that its parts have the ids of the whole: between a character that is not white space and
// white space after it. No alternative of GPT-2's pattern (pre-tokenizer.ts) goes on with white space after another
// character, so a piece always ends there, and none looks back at what came before.

/** The part of a text from one cut to the next. */
export interface TextPart {
  readonly from: number;
  readonly to: number;
}

/**
 * Parts of UTF-8 text of at most `size` bytes where it has cuts so close together, else up to the first cut beyond.
 * Both bytes at a cut are ASCII, so that bytes which are no valid UTF-8 are not told apart differently either.
 */
export function* exactParts(utf8: Uint8Array, size: number): Generator<TextPart> {
  for (let from = 0; from < utf8.length; ) {
    const to = utf8.length - from <= size ? utf8.length : nextCut(utf8, from, from + size);
    yield { from, to };
    from = to;
  }
}

/** The last cut in (`from`, `wanted`], else the first one after, else the end. */
function nextCut(utf8: Uint8Array, from: number, wanted: number): number {
  for (let at = wanted; at > from; at--) if (isCut(utf8, at)) return at;
  for (let at = wanted + 1; at < utf8.length; at++) if (isCut(utf8, at)) return at;
  return utf8.length;
}

function isCut(utf8: Uint8Array, at: number): boolean {
  const before = utf8[at - 1];
  return isWhiteSpace(utf8[at]) && before < 0x80 && !isWhiteSpace(before);
}

/** Of ASCII. */
function isWhiteSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
