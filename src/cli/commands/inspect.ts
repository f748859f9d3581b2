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
    const shown: TextDocument[] = [];
    if (options.count > 0) {
      for (const document of source.documents(options.start)) {
        if (shown.push(document) === options.count) break;
      }
    }
    if (options.json) printJson(shown.map(({ ids, ...document }) => ({ ...document, tokens: [...ids] })));
    else print([source.about, ...shown.map(describe)].join("\n\n"));
    return 0;
  } finally {
    source.close();
  }
}

function describe({ split, document, ids, text }: TextDocument): string {
  const bytes = formatCount(Buffer.byteLength(text));
  const title = `${split === "" ? "" : `${split} `}document ${document}`;
  return `--- ${title}: ${formatCount(ids.length)} tokens, ${bytes} bytes\n${printable(text)}`;
}
