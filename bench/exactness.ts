// GPT-2's ids beside tiktoken's on 10,000 documents, 50 MB, of twelve scripts, emoji, code points of all planes, runs of
// white space, long repeats and broken markup: `npx tsx bench/exactness.ts [documents]`. The row should say 0.

import { get_encoding } from "tiktoken";
import { makeTokenizer } from "../src/data/tokenizers/index.ts";
import { formatBytes, formatCount } from "../src/util/format.ts";
import { CounterRandom } from "../src/util/philox.ts";
import { randomText } from "../tests/data/tokenizers/texts.ts";
import { sendRow } from "./rows.ts";

const SEED = 50_000_000;
const DOCUMENT_BYTES = 5_000;
/** Parts are drawn from this many, each document in an order of its own. */
const PARTS = 8_000;

const documents = Number(process.argv[2] ?? 10_000);
const gpt2 = await makeTokenizer("gpt2", { documents: [] });
const oracle = get_encoding("gpt2");
const parts = Array.from({ length: PARTS }, (_, index) => randomText(SEED, index));
let bytes = 0;
let differ = 0;
let lost = 0;
for (let index = 0; index < documents; index++) {
  const random = new CounterRandom(SEED, 1, index);
  let text = "";
  for (let drawn = 0; Buffer.byteLength(text) < DOCUMENT_BYTES; drawn++) text += parts[random.integer(drawn, PARTS)];
  const ours = gpt2.encode(text);
  const theirs = oracle.encode_ordinary(text);
  bytes += Buffer.byteLength(text);
  if (ours.length !== theirs.length || ours.some((id, i) => id !== theirs[i])) differ++;
  if (gpt2.decode(ours) !== text) lost++;
}
const name = `${formatCount(documents)} odd documents, ${formatBytes(bytes)}`;
console.log(`${name}: ${differ} differ from tiktoken, ${lost} do not decode to themselves`);
sendRow({ suite: "exactness", name: `gpt2 ids other than tiktoken's, ${name}`, value: differ, unit: "documents" });
sendRow({ suite: "exactness", name: `decode is not the inverse, ${name}`, value: lost, unit: "documents" });
