import fc from "fast-check";
import { expect, test } from "vitest";
import { classOf, pieceEnd } from "../../../src/data/tokenizers/pre-tokenizer.ts";

import { classByNode } from "./texts.ts";

function split(bytes: Uint8Array, from = 0, to = bytes.length): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let start = from; start < to; ) {
    const end = pieceEnd(bytes, start, to);
    pieces.push(bytes.subarray(start, end));
    start = end;
  }
  return pieces;
}

const splitText = (text: string) => split(Buffer.from(text)).map((piece) => Buffer.from(piece).toString("utf8"));

test("words take the space before them and the last of several spaces is left to the word", () => {
  expect(splitText("Once upon   a time.\n\nThe  end ")).toEqual([
    "Once",
    " upon",
    "  ",
    " a",
    " time",
    ".",
    "\n",
    "\n",
    "The",
    " ",
    " end",
    " ",
  ]);
});

test("contractions are split off in lower case only, and only at the start of a piece", () => {
  expect(splitText("it's WE'RE we're \"'s")).toEqual(["it", "'s", " WE", "'", "RE", " we", "'re", " \"'", "s"]);
});

test("the next line U+0085 is white space and the byte-order mark U+FEFF is not, unlike in JavaScript's \\s", () => {
  expect(splitText("a\u0085\u0085b")).toEqual(["a", "\u0085", "\u0085", "b"]);
  expect(splitText("a \ufeff!b")).toEqual(["a", " \ufeff!", "b"]);
});

test("any bytes are split into pieces that are not empty and together are the bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const pieces = split(bytes);
      expect(pieces.every((piece) => piece.length > 0)).toBe(true);
      expect(Buffer.concat(pieces)).toEqual(Buffer.from(bytes));
    }),
  );
});

test("bytes that are not valid UTF-8 are symbol characters: no sequence is cut short, overlong, too high or a surrogate", () => {
  const invalid = [
    [0xff],
    [0x80],
    [0xc3],
    [0xc0, 0x81],
    [0xe0, 0x80, 0xa0],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
  ];
  for (const bytes of invalid) {
    const pieces = split(Uint8Array.from([0x61, ...bytes, 0x21, 0x62])); // a ... ! b
    expect(pieces.map((piece) => piece.length)).toEqual([1, bytes.length + 1, 1]);
  }
});

test("a character is not read beyond the end of the range", () => {
  const bytes = Buffer.from("aé");
  expect(split(bytes, 0, 3).length).toBe(1);
  expect(split(bytes, 0, 2).map((piece) => piece.length)).toEqual([1, 1]);
});

test("letters, numbers and white space are those of Node, but for letters that one of the two does not know yet", () => {
  const OTHER = 4;
  for (let codePoint = 0; codePoint < 0x110000; codePoint++) {
    const ours = classOf(codePoint);
    const theirs = classByNode(codePoint);
    if (ours !== theirs) expect([ours, theirs], `U+${codePoint.toString(16)}`).toContain(OTHER);
  }
});
