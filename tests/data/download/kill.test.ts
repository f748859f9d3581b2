import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { downloadFile } from "../../../src/data/download/http.ts";
import { HttpRig, serve } from "../../rigs/http-rig.ts";
import { temporaryFolder } from "../../rigs/stage-rig.ts";

const body = Buffer.alloc(3_000_000, "once upon a time ");

test("a download killed with SIGKILL goes on from its last byte in the next process", async () => {
  await using rig = await HttpRig.start((_request, response) => {
    response.writeHead(200, { etag: '"v1"', "content-length": body.length });
    response.write(body.subarray(0, 1_000_000)); // and then nothing
  }, serve(body));
  const target = path.join(temporaryFolder("killed"), "corpus.bin");
  const source = path.resolve("src/data/download/http.ts");
  const script = `
    import { downloadFile } from ${JSON.stringify(source)};
    const wanted = { sha256: undefined, bytes: ${body.length} };
    await downloadFile([${JSON.stringify(rig.origin)}], wanted, ${JSON.stringify(target)},
      { signal: new AbortController().signal, environment: {} });`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], { stdio: "inherit" });
  const sizeOf = () => (existsSync(`${target}.part`) ? statSync(`${target}.part`).size : 0);
  for (let waited = 0; sizeOf() < 1_000_000 && waited < 30_000; waited += 20) await sleep(20);
  child.kill("SIGKILL");
  await once(child, "exit");

  const options = { signal: new AbortController().signal, environment: {} };
  await downloadFile([rig.origin], { sha256: undefined, bytes: body.length }, target, options);
  expect(readFileSync(target).equals(body)).toBe(true);
  expect(rig.requests).toEqual(["/", '/ bytes=1000000- "v1"']);
});
