// GPT-2 spells each byte as one printable character, so that a vocabulary can be a text file (Radford et al. 2019,
// section 2.2; `bytes_to_unicode` of the published code). Printable Latin-1 bytes stand for themselves.

const isPrintable = (byte: number) =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

const codePointOfByte = new Uint16Array(256);
let nextFree = 0x100;
for (let byte = 0; byte < 256; byte++) codePointOfByte[byte] = isPrintable(byte) ? byte : nextFree++;

/** The printable character of each byte. */
export const SYMBOL_OF_BYTE: readonly string[] = Array.from(codePointOfByte, (codePoint) =>
  String.fromCodePoint(codePoint),
);

/** The bytes in the order of their printable characters: entry `id` is the byte of token `id` in GPT-2's order. */
export const GPT2_BYTE_ORDER: Uint8Array = Uint8Array.from(codePointOfByte.keys()).sort(
  (a, b) => codePointOfByte[a] - codePointOfByte[b],
);
