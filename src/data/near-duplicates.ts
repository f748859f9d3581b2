// Finds near duplicates by locality-sensitive hashing: signatures are cut into bands, and only documents that agree in
// all rows of some band are compared, at last exactly (Broder 1997; Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", 3.4; for
// language models Lee et al. 2022, "Deduplicating training data makes language models better").

import type { NearDuplicateRule } from "./arrangement.ts";
import { estimateJaccard } from "./minhash.ts";
import { mix32 } from "./words.ts";

/**
 * Documents of one key that a band remembers. Boilerplate can give a band's rows to any number of documents that differ
 * elsewhere; without a bound each new one would be compared with all of them.
 */
const MOST_OF_ONE_KEY = 64;

/**
 * Pairs whose estimate falls short of the threshold by no more standard errors than this are looked at. The error is that
 * of a similarity of 0.8, by which so many values agree or not.
 */
const SLACK_ERRORS = 3.4;

/** Documents are offered one after the other, in an order that decides: a document near to a kept one is not kept. */
export class NearDuplicates {
  private readonly length: number;
  /** Least estimate that is worth an exact comparison. */
  private readonly leastEstimate: number;
  /** Document + 1; 0 is free. All bands share the table: a document met under another band's key is compared all the same. */
  private readonly slots: Uint32Array;

  /** `signatures` holds bands x rows values of each document; `jaccard` is the exact similarity of two documents. */
  constructor(
    private readonly rule: NearDuplicateRule,
    private readonly signatures: Uint8Array,
    private readonly jaccard: (document: number, other: number) => number,
  ) {
    this.length = rule.bands * rule.rows;
    this.leastEstimate = rule.threshold - SLACK_ERRORS * (0.4 / Math.sqrt(this.length));
    const keys = rule.bands * Math.max(1, signatures.length / this.length);
    this.slots = new Uint32Array(2 ** Math.ceil(Math.log2(1.5 * keys)));
  }

  /** The kept document that `document` is near to; or -1, and it is kept. */
  add(document: number): number {
    const { bands } = this.rule;
    const compared = new Set<number>();
    for (let band = 0; band < bands; band++) {
      const near = this.visit(document, band, compared);
      if (near >= 0) return near;
    }
    for (let band = 0; band < bands; band++) this.insert(document, band);
    return -1;
  }

  private visit(document: number, band: number, compared: Set<number>): number {
    const mask = this.slots.length - 1;
    for (let slot = this.hash(document, band) & mask; this.slots[slot] !== 0; slot = (slot + 1) & mask) {
      const other = this.slots[slot]! - 1;
      if (!this.agreeIn(document, other, band) || compared.has(other)) continue;
      compared.add(other);
      if (this.estimate(document, other) < this.leastEstimate) continue;
      if (this.jaccard(document, other) >= this.rule.threshold) return other;
    }
    return -1;
  }

  private insert(document: number, band: number): void {
    const mask = this.slots.length - 1;
    let slot = this.hash(document, band) & mask;
    for (let same = 0; this.slots[slot] !== 0; slot = (slot + 1) & mask) {
      if (this.agreeIn(document, this.slots[slot]! - 1, band) && ++same === MOST_OF_ONE_KEY) return;
    }
    this.slots[slot] = document + 1;
  }

  private agreeIn(a: number, b: number, band: number): boolean {
    const { rows } = this.rule;
    const first = a * this.length + band * rows;
    const second = b * this.length + band * rows;
    for (let row = 0; row < rows; row++) {
      if (this.signatures[first + row] !== this.signatures[second + row]) return false;
    }
    return true;
  }

  private estimate(a: number, b: number): number {
    let agreements = 0;
    const first = a * this.length;
    const second = b * this.length;
    for (let index = 0; index < this.length; index++) {
      if (this.signatures[first + index] === this.signatures[second + index]) agreements++;
    }
    return estimateJaccard(agreements, this.length);
  }

  private hash(document: number, band: number): number {
    const from = document * this.length + band * this.rule.rows;
    let hash = band + 1;
    for (let row = 0; row < this.rule.rows; row++) hash = Math.imul(hash ^ this.signatures[from + row]!, 0x01000193);
    return mix32(hash);
  }
}
