// A second process for the tests of leases and of the log: `child.ts <artifacts> hold <key>` takes a lease and keeps it,
// `child.ts <artifacts> append <count> <name>` appends records, `child.ts <artifacts> race <key> <counter file>` raises a
// number under the lease, `child.ts <artifacts> publish <name>` stores trees and records until it is killed.

import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { acquireLease } from "../../src/store/lease.ts";
import { RunLog } from "../../src/store/run-log.ts";
import { ACTION_RECORD_TYPE, ACTION_TYPE, openStore } from "../../src/store/store.ts";
import { type Digest, digestOf } from "../../src/util/digest.ts";

const [root, command, subject, extra] = process.argv.slice(2) as [string, string, string, string];
const store = openStore(root);

if (command === "hold") {
  await acquireLease(store, subject as Digest);
  console.log("held");
  await sleep(60_000);
} else if (command === "append") {
  console.log("appending");
  const log = new RunLog(store);
  for (let index = 0; index < Number(subject); index++) log.append({ writer: extra, index });
} else if (command === "publish") {
  new RunLog(store).append({ kind: "run" });
  for (let round = 0; ; round++) {
    const folder = store.stagingFolder("out");
    for (let file = 0; file < 5; file++) writeFileSync(`${folder}/${file}`, `${subject} ${round} ${file}`.repeat(5000));
    const { digest } = store.putTree(folder);
    const preimage = { stage: subject, round };
    store.writeAction({
      type: ACTION_RECORD_TYPE,
      key: digestOf(ACTION_TYPE, preimage),
      stage: subject,
      preimage,
      outputs: { out: digest },
      provenance: { startedAt: new Date().toISOString(), durationMs: 1, measures: {}, attempt: 1, version: "0.0.0" },
    });
    if (round === 0) console.log("published");
  }
} else {
  console.log("racing");
  for (let round = 0; round < 15; round++) {
    const lease = await acquireLease(store, subject as Digest);
    const count = Number(readFileSync(extra, "utf8"));
    await sleep(1);
    writeFileSync(extra, String(count + 1));
    lease.release();
  }
}
