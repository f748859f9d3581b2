// Plain text: a file is one document, or is cut at a separator (`<|endoftext|>`), or at line ends.

import { messageOf } from "../../util/errors.ts";
import { compileTemplate } from "../template.ts";
import { badRow, decodeUtf8, type ReadContext, type Reader, readBytes, type SourceFile } from "./reader.ts";
import { cutAfter, cutAt, type FindCut, RecordTooLong, readRecords } from "./records.ts";

export const readText: Reader = (file, context) => readPieces(file, false, context);
export const readGzippedText: Reader = (file, context) => readPieces(file, true, context);

async function* readPieces(file: SourceFile, gzip: boolean, context: ReadContext): AsyncGenerator<string> {
  const { separator, documentBytes } = file.text;
  const template = compileTemplate(file.text.template);
  const findCut: FindCut =
    separator !== undefined
      ? cutAt(separator)
      : documentBytes !== undefined
        ? cutAfter(documentBytes)
        : () => undefined;
  const render = (text: string, piece: number) => {
    try {
      return template.render({ text });
    } catch (error) {
      throw badRow(file, piece, messageOf(error), "A text file has {text} alone: correct its template and score.");
    }
  };
  let piece = 0;
  try {
    for await (const { bytes } of readRecords(readBytes(file, gzip, context), findCut)) {
      piece++;
      let text = decodeUtf8(bytes, context.counts);
      if (piece === 1 && text.startsWith("\uFEFF")) text = text.slice(1); // a byte-order mark is no part of the text
      if (separator !== undefined) text = text.replace(/^[\r\n]+|[\r\n]+$/g, "");
      yield text === "" ? "" : render(text, piece);
    }
  } catch (error) {
    if (!(error instanceof RecordTooLong)) throw error;
    const hint = "Say where its documents end: separator, or documentBytes.";
    throw badRow(file, piece + 1, messageOf(error), hint);
  }
}
