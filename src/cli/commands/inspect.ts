// `inspect`: documents of a shard as text.

import type { TextDocument } from "../../data/shard-texts.ts";
import type { SplitName } from "../../data/split.ts";
import { formatCount } from "../../util/format.ts";
import { Artifacts } from "../artifacts.ts";
import { print, printable, printJson } from "../output.ts";
import { openShardSource } from "../shards.ts";

interface InspectOptions {
  readonly directory: string;
  readonly split?: SplitName;
  readonly start: number;
  readonly count: number;
  readonly tokenizer?: string;
  readonly json: boolean;
}

export async function inspect(what: string, options: InspectOptions): Promise<number> {
  using artifacts = new Artifacts(options.directory);
  const found = artifacts.find(what, ["manifest.json"]);
  const source = openShardSource(artifacts, found, options);
  try {
    const documents = firstOf(source.documents(options.start), options.count);
    if (options.json) {
      printJson(Array.from(documents, ({ ids, ...document }) => ({ ...document, tokens: [...ids] })));
      return 0;
    }
    print(source.about);
    for (const document of documents) print(`\n${describe(document)}`); // one at a time: there may be millions
    return 0;
  } finally {
    source.close();
  }
}

function* firstOf(documents: Iterable<TextDocument>, count: number): Generator<TextDocument> {
  let left = count;
  if (left === 0) return;
  for (const document of documents) {
    yield document;
    if (--left === 0) return;
  }
}

function describe({ split, document, ids, text }: TextDocument): string {
  const bytes = formatCount(Buffer.byteLength(text));
  const title = `${split === "" ? "" : `${split} `}document ${document}`;
  return `--- ${title}: ${formatCount(ids.length)} tokens, ${bytes} bytes\n${printable(text)}`;
}
