// Makes assets/data/eval-blimp-6700.jsonl.gz, 100 pairs of each of BLiMP's 67 paradigms, out of the whole set:
//
//     node scripts/make-blimp-subset.mjs path/to/blimp.jsonl.gz
//
// The whole set is one file of JSON lines with the published columns, plain or gzipped. In each paradigm the pairs with
// the smallest SHA-256 of UID and pairID, written without anything between, are taken, and kept in the published order.
// Pairs of two identical sentences have no right answer and are left out. The same input gives the same bytes.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";

const PAIRS = 100;
const PARADIGMS = 67;
const COLUMNS = ["sentence_good", "sentence_bad", "field", "linguistics_term", "UID", "pairID"];

const [source] = process.argv.slice(2);
if (source === undefined) {
  console.error("usage: node scripts/make-blimp-subset.mjs path/to/blimp.jsonl.gz");
  process.exit(2);
}

const bytes = readFileSync(source);
const text = (source.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
const paradigms = new Map();
for (const line of text.split("\n")) {
  if (line === "") continue;
  const row = JSON.parse(line);
  if (row.sentence_good === row.sentence_bad) continue;
  const rank = createHash("sha256").update(`${row.UID}${row.pairID}`).digest("hex");
  const pairs = paradigms.get(row.UID) ?? [];
  pairs.push({ rank, place: pairs.length, row });
  paradigms.set(row.UID, pairs);
}
if (paradigms.size !== PARADIGMS || [...paradigms.values()].some((pairs) => pairs.length < PAIRS)) {
  console.error(`${source} is not the whole of BLiMP: it has ${paradigms.size} paradigms instead of ${PARADIGMS}.`);
  process.exit(1);
}

const kept = [...paradigms.values()].flatMap((pairs) =>
  pairs
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .slice(0, PAIRS)
    .sort((a, b) => a.place - b.place)
    .map(({ row }) => row),
);
const lines = kept.map((row) => `${JSON.stringify(Object.fromEntries(COLUMNS.map((name) => [name, row[name]])))}\n`);
// Node writes neither a name nor a time into the header; byte 9, the platform, is set to "unknown".
const packed = gzipSync(lines.join(""), { level: 9 });
packed[9] = 255;

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const target = path.join(root, "assets", "data", `eval-blimp-${kept.length}.jsonl.gz`);
writeFileSync(target, packed);
const digest = createHash("sha256").update(packed).digest("hex");
console.log(`${path.relative(root, target)}: ${kept.length} pairs, ${packed.length} bytes, sha256 ${digest}`);
