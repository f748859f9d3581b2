// How hard a document is, from its ids alone: what a curriculum sorts by (Bengio et al. 2009, "Curriculum learning";
// length and rarity as in Platanios et al. 2019, "Competence-based curriculum learning", rarity a token, not in sum).

import type { ScoreName } from "./arrangement.ts";

type Ids = Uint16Array | Uint32Array;

/** How often each id occurs in the train split. */
export class Frequencies {
  private readonly counts: Float64Array;
  private total = 0;

  constructor(vocabSize: number) {
    this.counts = new Float64Array(vocabSize);
  }

  add(ids: Ids): void {
    for (let at = 0; at < ids.length; at++) this.counts[ids[at]!]!++;
    this.total += ids.length;
  }

  /** Bits a token under these frequencies, which hold the document itself; 0 for no tokens. */
  rarity(ids: Ids): number {
    let sum = 0;
    for (let at = 0; at < ids.length; at++) sum -= Math.log2(this.counts[ids[at]!]! / this.total);
    return ids.length === 0 ? 0 : sum / ids.length;
  }
}

/** Bits a token under the document's own frequencies: low where it repeats itself, at most log2 of its length. */
export function entropy(ids: Ids): number {
  const sorted = ids.slice().sort();
  let bits = 0;
  for (let at = 0; at < sorted.length; ) {
    const from = at;
    while (at < sorted.length && sorted[at] === sorted[from]) at++;
    const share = (at - from) / sorted.length;
    bits -= share * Math.log2(share);
  }
  return bits;
}

/** The score that `name` means; higher is harder. */
export function difficulty(name: Exclude<ScoreName, "score">, ids: Ids, frequencies: Frequencies): number {
  if (name === "length") return ids.length;
  return name === "entropy" ? entropy(ids) : frequencies.rarity(ids);
}
