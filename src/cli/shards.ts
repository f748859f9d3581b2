// Shards as the commands that look into them take them: an artifact or a single file, with its tokenizer.

import { openShardFile, readShardFileTexts, readShardTexts, type TextDocument } from "../data/shard-texts.ts";
import { openShards, verifyBesideManifest } from "../data/shards.ts";
import type { SplitName } from "../data/split.ts";
import { splitNames } from "../data/split.ts";
import { UserError } from "../util/errors.ts";
import { formatCount } from "../util/format.ts";
import type { Artifacts } from "./artifacts.ts";

export interface ShardSource {
  /** One line for people. */
  readonly about: string;
  /** From number `start` of each split on. */
  documents(start: number): Iterable<TextDocument>;
  /** Digests every byte again, where a manifest says what it should be. */
  verify(): void;
  close(): void;
}

export interface ShardSourceOptions {
  readonly split?: SplitName | undefined;
  readonly tokenizer?: string | undefined;
}

/** Throws a UserError for what are no shards, and for a single shard that is not the one that the manifest beside it names. */
export function openShardSource(
  artifacts: Artifacts,
  found: { readonly place: string; readonly isFolder: boolean },
  { split, tokenizer: given }: ShardSourceOptions,
): ShardSource {
  if (!found.isFolder) {
    const shard = openShardFile(found.place);
    verifyBesideManifest(found.place);
    if (split !== undefined && split !== shard.split) throw otherSplit(found.place, split);
    const tokenizer = artifacts.tokenizer(shard.header.tokenizer, given);
    return {
      about: `${formatCount(shard.header.tokens)} tokens, shard ${shard.header.shard}, tokenizer ${tokenizer.kind}`,
      documents: (start) => readShardFileTexts(shard, tokenizer, start),
      verify: () => {}, // done already: one shard is quickly digested
      close: () => {},
    };
  }
  const set = openShards(found.place, { residentBytes: 0 });
  const tokenizer = artifacts.tokenizer(set.manifest.tokenizer, given);
  const splits = split === undefined ? splitNames : [split];
  const counts = splits.map((name) => {
    const { documents, tokens } = set.manifest.splits[name];
    return `${name} ${formatCount(documents)} documents, ${formatCount(tokens)} tokens`;
  });
  return {
    about: `${counts.join("; ")}; tokenizer ${tokenizer.kind}`,
    documents: (start) => readShardTexts(set, tokenizer, { splits, start }),
    verify: () => set.verify(),
    close: () => set.close(),
  };
}

function otherSplit(file: string, split: SplitName): UserError {
  return new UserError(`${file} is one shard, and not known to be of the split ${split}.`, {
    code: "OTHER_SPLIT",
    where: { file },
    hint: "Leave out --split, or name the folder that the shard lies in.",
  });
}
