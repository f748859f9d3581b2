// Byte-level BPE written to be read: the published pattern as a regular expression, and merges one at a time. It is
// the oracle of the fast encoder for every vocabulary, and quadratic in the length of a piece. Letters and numbers are
// those of the running Node's Unicode, which may know some that came after Unicode 16.

import { NUM_BYTES, type Vocabulary } from "./vocabulary.ts";

const PIECES =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The ids of a text. Lone surrogates become U+FFFD. */
export function encodeSlowly(vocabulary: Vocabulary, text: string): number[] {
  const rankOfPair = new Map<string, number>();
  for (let i = 0; i < vocabulary.merges.length; i += 2) {
    rankOfPair.set(`${vocabulary.merges[i]} ${vocabulary.merges[i + 1]}`, NUM_BYTES + i / 2);
  }
  const pieces = text.toWellFormed().match(PIECES) ?? [];
  return pieces.flatMap((piece) => {
    const ids = Array.from(new TextEncoder().encode(piece), (byte) => vocabulary.byteOfId.indexOf(byte));
    return mergeAll(ids, (left, right) => rankOfPair.get(`${left} ${right}`) ?? Number.POSITIVE_INFINITY);
  });
}

/** Merges the leftmost pair of lowest rank until none is left. The rank of a pair is the id of what it becomes. */
function mergeAll(ids: number[], rankOf: (left: number, right: number) => number): number[] {
  for (;;) {
    const ranks = ids.slice(0, -1).map((id, i) => rankOf(id, ids[i + 1]));
    const place = ranks.reduce((best, rank, i) => (rank < ranks[best] ? i : best), 0);
    if (ranks.length === 0 || ranks[place] === Number.POSITIVE_INFINITY) return ids;
    ids.splice(place, 2, ranks[place]);
  }
}
