// The shard stage in bytes of ids, and training windows of 513 ids drawn at random from its shards:
// `npx tsx bench/shards.ts [tokens]`. Per CPU second of one thread; the stage in wall time too, for it waits for the disk.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { writeShards } from "../src/data/shard-writer.ts";
import { openShards } from "../src/data/shards.ts";
import { splitOf, splitSchema } from "../src/data/split.ts";
import { TokensWriter } from "../src/data/tokens.ts";
import { windowStart } from "../src/data/windows.ts";
import { digestBytes, hexOf } from "../src/util/digest.ts";
import { formatCount } from "../src/util/format.ts";
import { cpuSeconds, sendRow } from "./rows.ts";

const VOCAB_SIZE = 50_257;
const DOCUMENT_TOKENS = 1_100; // the mean of OpenWebText
const WINDOW = 513;
const WINDOWS = 1_000_000;

function row(name: string, value: number, unit: string): void {
  console.log(`${name}: ${value.toPrecision(4)} ${unit}`);
  sendRow({ suite: "shards", name, value, unit });
}

const tokens = Number(process.argv[2] ?? 1e8);
const folder = mkdtempSync(path.join(tmpdir(), "stlm-shards-"));
try {
  const tokenizer = digestBytes("a tokenizer");
  const layout = { dtype: "uint16", vocabSize: VOCAB_SIZE, endOfText: VOCAB_SIZE - 1, tokenizer } as const;
  const source = path.join(folder, "tokens");
  const shards = path.join(folder, "shards");
  for (const made of [source, shards]) mkdirSync(made);
  const writer = new TokensWriter((name) => path.join(source, name), layout);
  const split = splitSchema.parse({});
  for (let document = 0; document * DOCUMENT_TOKENS < tokens; document++) {
    const digest = digestBytes(String(document));
    writer.writeIds(
      Uint16Array.from({ length: DOCUMENT_TOKENS }, (_, i) => (document * 7919 + i * 104_729) % VOCAB_SIZE),
    );
    writer.endDocument({
      digest,
      bytes: 5000,
      characters: 5000,
      split: splitOf(Buffer.from(hexOf(digest), "hex"), split),
    });
  }
  writer.finish({ duplicates: 0, empty: 0, replaced: 0 });

  const signal = new AbortController().signal;
  const [startCpu, startMs] = [cpuSeconds(), performance.now()];
  const pathOf = (name: string) => path.join(shards, name);
  const manifest = await writeShards({ tokens: source, pathOf, shardTokens: 1e8, signal, onProgress: () => {} });
  const [cpu, wall] = [cpuSeconds() - startCpu, (performance.now() - startMs) / 1e3];
  const megabytes =
    (2 * manifest.splits.train.tokens + 2 * manifest.splits.validation.tokens + 2 * manifest.splits.test.tokens) / 1e6;
  row(
    `shard stage, ${formatCount(tokens)} tokens of ${formatCount(DOCUMENT_TOKENS)} a document`,
    megabytes / cpu,
    "MB/s",
  );
  row(
    `shard stage, ${formatCount(tokens)} tokens of ${formatCount(DOCUMENT_TOKENS)} a document`,
    megabytes / wall,
    "MB/s wall",
  );
  drawWindows("from memory", Number.POSITIVE_INFINITY);
  drawWindows("from the file", 0);

  function drawWindows(where: string, residentBytes: number): void {
    const set = openShards(shards, { residentBytes });
    const train = set.split("train");
    const ids = new Int32Array(WINDOW);
    train.readWindow(0, WINDOW, ids);
    const start = cpuSeconds();
    let sum = 0;
    for (let index = 0; index < WINDOWS; index++) {
      sum += train.readWindow(windowStart(1, index >> 3, index & 7, train.tokens, WINDOW), WINDOW, ids)[0]!;
    }
    row(`${WINDOW}-token windows at random ${where}`, WINDOWS / (cpuSeconds() - start), "windows/s");
    if (sum === 0) throw new Error("The windows hold nothing");
    set.close();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
