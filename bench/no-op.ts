// How long `repro` takes when nothing is to be done: a lab of 15 stages that is fresh, through the compiled command line.

import { LabRig } from "../tests/rigs/lab-rig.ts";
import { median, sendRow } from "./rows.ts";

const RUNS = 5;

using lab = LabRig.create();
await lab.repro();
const seconds: number[] = [];
for (let run = 0; run < RUNS; run++) {
  const start = performance.now();
  const states = await lab.repro();
  seconds.push((performance.now() - start) / 1e3);
  if (Object.values(states).some((state) => state !== "fresh")) throw new Error("A stage ran that should be fresh");
}
console.log(`no-op repro: ${median(seconds).toFixed(2)} s, with the start of Node.js`);
sendRow({ suite: "pipeline", name: "no-op repro, 15 stages", value: median(seconds), unit: "s" });
