// Text as hashes of normalised words, for what compares texts regardless of case and punctuation: near duplicates and
// contamination. Normalisation: Unicode NFKC, lower case, then runs of letters, marks and digits; everything else only
// separates ("Don't stop!" is "don", "t", "stop"). In scripts without spaces each character is a word. Whatever lies above
// U+FFFF, emoji included, counts as a letter, so that text can be read by UTF-16 units.

const SEPARATOR = 0;
const LETTER = 1;
const ALONE = 2;

/** Class of each UTF-16 unit. */
let classes: Uint8Array | undefined;

const NO_SPACES =
  "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}";

/** The words of a text, slowly: what `WordHashes` hashes. */
export function wordsOf(text: string): string[] {
  const alone = `(?![\\u{10000}-\\u{10FFFF}])[${NO_SPACES}]`;
  const letter = "[\\p{L}\\p{M}\\p{N}\\p{Cs}\\u{10000}-\\u{10FFFF}]";
  const word = new RegExp(`(?=${letter})${alone}|(?:(?!${alone})${letter})+`, "gu");
  return normalise(text).match(word) ?? [];
}

function normalise(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}

function unitClasses(): Uint8Array {
  const alone = new RegExp(`[${NO_SPACES}]`, "u");
  const letter = /[\p{L}\p{M}\p{N}\p{Cs}]/u;
  return Uint8Array.from({ length: 65_536 }, (_, unit) => {
    const character = String.fromCharCode(unit);
    return letter.test(character) ? (alone.test(character) ? ALONE : LETTER) : SEPARATOR;
  });
}

/** The words of one text at a time; `read` replaces them. */
export class WordHashes {
  count = 0;
  /** Of the n-gram last asked for: 64 bits in two halves. */
  first = 0;
  second = 0;
  private low = new Uint32Array(1024);
  private high = new Uint32Array(1024);
  private length = 0;
  private rolling = 0;
  private rollingSecond = 0;

  /** Reads the words of `text`; returns their number. */
  read(text: string): number {
    classes ??= unitClasses();
    const normal = normalise(text);
    this.count = 0;
    let low = 0;
    let high = 0;
    let inWord = false;
    for (let at = 0; at < normal.length; at++) {
      const unit = normal.charCodeAt(at);
      const kind = classes[unit]!;
      if (kind !== LETTER && inWord) {
        this.push(low, high);
        inWord = false;
      }
      if (kind === SEPARATOR) continue;
      if (!inWord) {
        low = 0x811c9dc5;
        high = 0x9747b28c;
        inWord = true;
      }
      low = Math.imul(low ^ unit, 0x01000193);
      high = Math.imul((high << 13) ^ (high >>> 19) ^ unit, 0x5bd1e995);
      if (kind === ALONE) {
        this.push(low, high);
        inWord = false;
      }
    }
    if (inWord) this.push(low, high);
    return this.count;
  }

  /** Puts the hash of words at..at+length-1, in their order, into `first` and `second`. */
  ngram(at: number, length: number): void {
    this.begin();
    for (let word = at; word < at + length; word++) this.extend(word);
    this.finish();
  }

  /** Starts an n-gram without words: with `extend` and `finish` all n-grams from one place on cost one walk. */
  begin(): void {
    this.length = 0;
    this.rolling = 0x3c6ef372;
    this.rollingSecond = 0x1b873593;
  }

  /** Appends a word to the n-gram. */
  extend(word: number): void {
    this.length++;
    this.rolling = Math.imul(rotate(this.rolling ^ this.low[word]!, 13), 5) + 0xe6546b64;
    this.rollingSecond = Math.imul(rotate(this.rollingSecond ^ this.high[word]!, 17), 9) + 0x38b34ae5;
  }

  /** Puts the hash of the n-gram so far into `first` and `second`; more words may follow. */
  finish(): void {
    this.first = mix32(this.rolling ^ this.length);
    this.second = mix32(this.rollingSecond ^ this.length);
  }

  private push(low: number, high: number): void {
    if (this.count === this.low.length) {
      this.low = grown(this.low);
      this.high = grown(this.high);
    }
    this.low[this.count] = mix32(low);
    this.high[this.count] = mix32(high);
    this.count++;
  }
}

/** The finaliser of MurmurHash3 (Appleby 2011, public domain): every bit of the argument reaches every bit of the result. */
export function mix32(value: number): number {
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

function grown(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}
