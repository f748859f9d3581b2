// JSON lines, and one JSON array of objects (as OpenHermes is published).

import { messageOf } from "../../util/errors.ts";
import { compileTemplate } from "../template.ts";
import { badRow, decodeUtf8, type ReadContext, type Reader, readBytes, type SourceFile, wellFormed } from "./reader.ts";
import { cutAt, cutObjects, ForeignItem, RecordTooLong, readRecords } from "./records.ts";

export const readJsonLines: Reader = (file, context) => readLines(file, false, context);
export const readGzippedJsonLines: Reader = (file, context) => readLines(file, true, context);

async function* readLines(file: SourceFile, gzip: boolean, context: ReadContext): AsyncGenerator<string> {
  const template = compileTemplate(file.text.template);
  let line = 0;
  try {
    for await (const { bytes } of readRecords(readBytes(file, gzip, context), cutAt("\n"))) {
      line++;
      if (isBlank(bytes)) continue;
      yield documentOf(bytes, line, file, template.render, context);
    }
  } catch (error) {
    throw error instanceof RecordTooLong ? badRow(file, line + 1, error.message) : error;
  }
}

/** Lines are counted by the records' number, since an array may stand on a single line. */
export const readJsonArray: Reader = async function* (file, context) {
  const template = compileTemplate(file.text.template);
  let record = 0;
  try {
    for await (const { bytes, last } of readRecords(readBytes(file, false, context), cutObjects())) {
      if (last) {
        if (/^(\[?\s*\])?$/.test(bytes.toString("utf8").trim())) continue;
        throw badRow(file, record + 1, "the JSON array ends in the middle of an item", "Download the file again.");
      }
      record++;
      yield documentOf(bytes, record, file, template.render, context);
    }
  } catch (error) {
    if (error instanceof RecordTooLong || error instanceof ForeignItem) throw badRow(file, record + 1, error.message);
    throw error;
  }
};

function documentOf(
  bytes: Buffer,
  line: number,
  file: SourceFile,
  render: (row: unknown) => string,
  { counts }: ReadContext,
): string {
  const replacedBefore = counts.replaced;
  let source = decodeUtf8(bytes, counts);
  if (line === 1 && source.startsWith("\uFEFF")) source = source.slice(1); // a byte-order mark is no part of the data
  try {
    const text = render(JSON.parse(source));
    return counts.replaced > replacedBefore ? text.toWellFormed() : wellFormed(text, counts);
  } catch (error) {
    throw badRow(file, line, messageOf(error));
  }
}

function isBlank(line: Buffer): boolean {
  return line.length === 0 || (line.length < 8 && line.toString("latin1").trim() === "");
}
