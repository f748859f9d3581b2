// The split of text into pieces that BPE never merges across: the pattern of GPT-2 (Radford et al. 2019, `encoder.py`)
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// as a state machine over UTF-8 bytes. `\s` is Unicode White_Space, as in Rust and Python: JavaScript's `\s` has
// U+FEFF and lacks U+0085. A byte that is not part of valid UTF-8 counts as one character that is none of the three
// classes, as U+FFFD would; it is kept, so decoding gives the same bytes back.

import { UNICODE_CLASS_RUNS } from "./unicode-classes.ts";

const LETTER = 1;
const WHITE_SPACE = 3;
const OTHER = 4;

const SPACE = 0x20;
const APOSTROPHE = 0x27;

/** Class of every code point. */
const classes = new Uint8Array(0x110000);
let firstOfRun = 0;
for (const [, length, letter] of UNICODE_CLASS_RUNS.matchAll(/([0-9a-z]+)([A-Z])/g)) {
  const endOfRun = firstOfRun + Number.parseInt(length, 36);
  classes.fill(" LNWO".indexOf(letter), firstOfRun, endOfRun);
  firstOfRun = endOfRun;
}

/** 1 for a letter, 2 for a number, 3 for white space, 4 for anything else (Unicode 16). */
export function classOf(codePoint: number): number {
  return classes[codePoint];
}

/** The end of the piece that starts at `start`, at most `end`. Takes time linear in the bytes it looks at. */
export function pieceEnd(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start];
  if (first === APOSTROPHE) {
    const length = contractionLength(bytes, start, end);
    if (length > 0) return start + length;
  }
  let at = first === SPACE && start + 1 < end ? start + 1 : start;
  let kind: number;
  if (bytes[at] < 0x80) {
    kind = classes[bytes[at]];
    at++;
  } else {
    const character = wideCharacter(bytes, at, end);
    kind = character & 7;
    at += character >> 3;
  }
  if (kind === WHITE_SPACE) return whiteSpaceEnd(bytes, start, end);
  if (kind === LETTER) at = asciiLettersEnd(bytes, at, end);
  while (at < end) {
    const byte = bytes[at];
    if (byte < 0x80) {
      if (classes[byte] !== kind) break;
      at++;
    } else {
      const character = wideCharacter(bytes, at, end);
      if ((character & 7) !== kind) break;
      at += character >> 3;
    }
  }
  return at;
}

/** Most pieces are English words: a comparison without a table look-up is a tenth faster over the whole split. */
function asciiLettersEnd(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const lower = bytes[at] | 0x20;
    if (lower < 0x61 || lower > 0x7a) break;
    at++;
  }
  return at;
}

/** `\s+(?!\S)|\s+`: the last white space before a word is left to the word, unless it is all there is. */
function whiteSpaceEnd(bytes: Uint8Array, start: number, end: number): number {
  let last = start;
  let at = start;
  while (at < end) {
    const character = bytes[at] < 0x80 ? classes[bytes[at]] | 8 : wideCharacter(bytes, at, end);
    if ((character & 7) !== WHITE_SPACE) return last === start ? at : last;
    last = at;
    at += character >> 3;
  }
  return at;
}

/** Bytes of the contraction at an apostrophe, or 0. */
function contractionLength(bytes: Uint8Array, at: number, end: number): number {
  if (at + 1 >= end) return 0;
  switch (bytes[at + 1]) {
    case 0x73: // 's
    case 0x74: // 't
    case 0x6d: // 'm
    case 0x64: // 'd
      return 2;
    case 0x72: // 're
    case 0x76: // 've
      return at + 2 < end && bytes[at + 2] === 0x65 ? 3 : 0;
    case 0x6c: // 'll
      return at + 2 < end && bytes[at + 2] === 0x6c ? 3 : 0;
    default:
      return 0;
  }
}

const INVALID = (1 << 3) | OTHER;

/** Class and bytes of the character at a byte above 0x7f, as `bytes << 3 | class` (Unicode 16, table 3-7). */
function wideCharacter(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at];
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (lead < 0xc2 || lead > 0xf4 || at + length > end) return INVALID;
  const second = bytes[at + 1];
  if ((second & 0xc0) !== 0x80) return INVALID;
  if (length === 2) return (2 << 3) | classOf(((lead & 0x1f) << 6) | (second & 0x3f));
  const third = bytes[at + 2];
  if ((third & 0xc0) !== 0x80) return INVALID;
  if (length === 3) {
    const codePoint = ((lead & 0x0f) << 12) | ((second & 0x3f) << 6) | (third & 0x3f);
    const isSurrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
    return codePoint < 0x800 || isSurrogate ? INVALID : (3 << 3) | classOf(codePoint);
  }
  const fourth = bytes[at + 3];
  if ((fourth & 0xc0) !== 0x80) return INVALID;
  const codePoint = ((lead & 0x07) << 18) | ((second & 0x3f) << 12) | ((third & 0x3f) << 6) | (fourth & 0x3f);
  return codePoint < 0x10000 || codePoint > 0x10ffff ? INVALID : (4 << 3) | classOf(codePoint);
}
