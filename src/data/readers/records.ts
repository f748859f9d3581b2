// Cuts a stream of bytes into records without ever holding more than one record and one chunk.

/** Where the next record lies in `bytes[start..end)` and where the one after it starts. */
export interface Cut {
  readonly from: number;
  readonly to: number;
  readonly next: number;
}

/**
 * Finds the end of the record that starts at `start`, or undefined when it is not in `bytes` yet. `scanned` is how far
 * an earlier call with the same start has looked. `bytes` is only what has been read; positions are relative to it.
 */
export type FindCut = (bytes: Buffer, start: number, scanned: number) => Cut | undefined;

/** Records end at a separator, which belongs to none. */
export function cutAt(separator: string): FindCut {
  const mark = Buffer.from(separator);
  return (bytes, start, scanned) => {
    const at = bytes.indexOf(mark, Math.max(start, scanned - mark.length + 1));
    return at < 0 ? undefined : { from: start, to: at, next: at + mark.length };
  };
}

/** Records end behind the first newline at or after `size` bytes. */
export function cutAfter(size: number): FindCut {
  return (bytes, start, scanned) => {
    const at = bytes.indexOf(10, Math.max(start + size, scanned));
    return at < 0 ? undefined : { from: start, to: at + 1, next: at + 1 };
  };
}

const [QUOTE, BACKSLASH, OPEN, CLOSE] = Array.from('"\\{}', (character) => character.charCodeAt(0));
/** Also a byte-order mark, which some write in front of the array. */
const BETWEEN_OBJECTS = new Set(Buffer.from(" \t\r\n,[]\uFEFF"));

export class ForeignItem extends Error {}

/** Records are the objects of one JSON array. Throws a ForeignItem for anything else in it, as a string or a number. */
export function cutObjects(): FindCut {
  let depth = 0;
  let from = 0;
  let quoted = false;
  let escaped = false;
  return (bytes, start, scanned) => {
    if (scanned <= start) depth = 0;
    // `from` moves with the buffer: it is kept relative to the record's start.
    for (let at = Math.max(start, scanned); at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (quoted) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) quoted = false;
      } else if (byte === OPEN) {
        if (depth++ === 0) from = at - start;
      } else if (depth === 0) {
        if (!BETWEEN_OBJECTS.has(byte)) throw new ForeignItem("an item of its array is no object");
      } else if (byte === QUOTE) quoted = true;
      else if (byte === CLOSE && --depth === 0) return { from: start + from, to: at + 1, next: at + 1 };
    }
    return undefined;
  };
}

export class RecordTooLong extends Error {}

/**
 * The records of a byte stream; the last one may lack its end. A record is a view that is only valid until the next
 * one is asked for. Throws RecordTooLong beyond `maxBytes`.
 */
export async function* readRecords(
  chunks: AsyncIterable<Buffer>,
  findCut: FindCut,
  maxBytes = 256 * 1024 * 1024,
): AsyncGenerator<{ bytes: Buffer; last: boolean }> {
  let buffer = Buffer.allocUnsafe(1 << 18);
  let start = 0;
  let end = 0;
  for await (const chunk of chunks) {
    if (end + chunk.length > buffer.length) {
      const pending = end - start;
      if (pending + chunk.length > maxBytes) throw new RecordTooLong(`a record is longer than ${maxBytes} bytes`);
      // Doubling keeps a record of many chunks linear; moving the rest down keeps the buffer as small as it can be.
      const needed = pending + chunk.length;
      const target = needed > buffer.length ? Buffer.allocUnsafe(needed * 2) : buffer;
      buffer.copy(target, 0, start, end);
      buffer = target;
      start = 0;
      end = pending;
    }
    const scanned = end;
    chunk.copy(buffer, end);
    end += chunk.length;
    const read = buffer.subarray(0, end);
    for (let cut = findCut(read, start, scanned); cut !== undefined; cut = findCut(read, start, start)) {
      start = cut.next;
      yield { bytes: buffer.subarray(cut.from, cut.to), last: false };
    }
  }
  if (end > start) yield { bytes: buffer.subarray(start, end), last: true };
}
