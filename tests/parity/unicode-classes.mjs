// Makes src/data/tokenizers/unicode-classes.ts: which code points are letters, numbers and white space to `tiktoken`.
// It needs a Node whose Unicode is as new as tiktoken's or newer; what only Node knows is left out, by asking tiktoken:
// a symbol joins a following apostrophe, so that `'ve` is not split off as one piece (id 1053); a letter or number
// does not.  node tests/parity/unicode-classes.mjs

import { writeFileSync } from "node:fs";
import { get_encoding } from "tiktoken";

const oracle = get_encoding("gpt2");
const isSymbolToOracle = (character) => oracle.encode_ordinary(`${character}'ve`).at(-1) !== 1053;

function classOf(codePoint) {
  if (codePoint >= 0xd800 && codePoint <= 0xdfff) return "O";
  const character = String.fromCodePoint(codePoint);
  if (/\p{White_Space}/u.test(character)) return "W";
  const isKnown = /[\p{L}\p{N}]/u.test(character) && !isSymbolToOracle(character);
  return !isKnown ? "O" : /\p{L}/u.test(character) ? "L" : "N";
}

const runs = [];
let start = 0;
for (let codePoint = 1; codePoint <= 0x110000; codePoint++) {
  if (codePoint < 0x110000 && classOf(codePoint) === classOf(start)) continue;
  runs.push((codePoint - start).toString(36) + classOf(start));
  start = codePoint;
}
const lines = runs.join("").match(/.{1,112}/g);
writeFileSync(
  new URL("../../src/data/tokenizers/unicode-classes.ts", import.meta.url),
  `// Made by tests/parity/unicode-classes.mjs. Unicode 16's \\p{L}, \\p{N} and \\p{White_Space}, pinned: the regular
// expressions of JavaScript know the Unicode of the running Node, and ids must not depend on that.

/** Runs of code points from 0 on, each its length in base 36 and L (letter), N (number), W (white space) or O (other). */
export const UNICODE_CLASS_RUNS: string =
${lines.map((line) => `  "${line}"`).join(" +\n")};
`,
);
