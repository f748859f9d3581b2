import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, test } from "vitest";
import { z } from "zod";
import { childEnvironment } from "../../src/pipeline/environment.ts";
import { type ActionPreimage, actionPreimage, stageKey } from "../../src/pipeline/key.ts";
import type { CodeFingerprint } from "../../src/pipeline/modules.ts";
import type { Pipeline, StageNode } from "../../src/pipeline/node.ts";
import { describeReason, planPipeline } from "../../src/pipeline/planner.ts";
import { selectNodes } from "../../src/pipeline/selection.ts";
import { defineStage } from "../../src/pipeline/stage.ts";
import { openStore } from "../../src/store/store.ts";
import { digestBytes } from "../../src/util/digest.ts";

let root: string;
beforeAll(() => {
  root = mkdtempSync(path.join(os.tmpdir(), "stlm-planner-"));
});
afterAll(() => rmSync(root, { recursive: true }));

/** `upstream[i]` names the nodes that node i reads. */
function commands(upstream: readonly (readonly number[])[]): Pipeline {
  const nodes = upstream.map(
    (from, index): StageNode => ({
      id: `n${index}`,
      name: `n${index}`,
      matrix: {},
      params: {},
      inputs: Object.fromEntries(from.map((other) => [`i${other}`, { node: `n${other}`, output: "files" }])),
      seed: 1,
      resources: {},
      work: { kind: "command", command: { command: `echo ${index} > out`, deps: [], outs: ["out"], env: {} } },
      where: {},
    }),
  );
  const byId = new Map(nodes.map((node) => [node.id, node]));
  return { file: path.join(root, "pipeline.yaml"), root, profile: "default", nodes, byId, hypotheses: [] };
}

const graphs = fc
  .integer({ min: 1, max: 20 })
  .chain((count) =>
    fc.tuple(
      ...Array.from({ length: count }, (_, index) =>
        index === 0 ? fc.constant([]) : fc.subarray([...Array(index).keys()]),
      ),
    ),
  );

test("in an empty store stages without inputs would run, all others wait for theirs, inputs come first", async () => {
  const store = openStore(path.join(root, "artifacts"));
  await fc.assert(
    fc.asyncProperty(graphs, async (upstream) => {
      const plan = await planPipeline({ pipeline: commands(upstream), store, device: "cpu" });
      plan.nodes.forEach((planned, index) => {
        assert.equal(planned.state, upstream[index]!.length === 0 ? "stale" : "blocked");
        if (planned.state !== "blocked") return;
        assert.deepEqual(
          planned.reason.stages,
          upstream[index]!.map((other) => `n${other}`),
        );
      });
    }),
  );
});

test("a target is planned with what it needs and nothing else", async () => {
  const store = openStore(path.join(root, "artifacts"));
  await fc.assert(
    fc.asyncProperty(graphs, fc.nat(), async (upstream, pick) => {
      const target = pick % upstream.length;
      const needed = new Set<number>();
      const add = (index: number): void => {
        needed.add(index);
        upstream[index]!.forEach(add);
      };
      add(target);
      const plan = await planPipeline({ pipeline: commands(upstream), store, device: "cpu", targets: [`n${target}`] });
      const expected = [...needed].sort((a, b) => a - b).map((index) => `n${index}`);
      assert.deepEqual(
        plan.nodes.map(({ node }) => node.id),
        expected,
      );
    }),
  );
});

test("five thousand stages are planned in under two seconds", async () => {
  const pipeline = commands(Array.from({ length: 5000 }, (_, index) => (index < 2 ? [] : [index - 1, index - 2])));
  const startedMs = performance.now();
  const plan = await planPipeline({ pipeline, store: openStore(path.join(root, "artifacts")), device: "cpu" });
  assert.equal(plan.nodes.length, 5000);
  assert.ok(performance.now() - startedMs < 2000);
});

test("every field of the preimage moves the key, and the order of members does not", () => {
  const node = commands([[]]).nodes[0]!;
  const input = { stage: "a", digest: digestBytes("a") };
  const context = { root, device: "cpu", deviceClass: () => "cpu-x64" } as const;
  const preimage = actionPreimage(node, { one: input, many: [input] }, context);
  const reversed = Object.fromEntries(Object.entries(preimage).reverse()) as unknown as ActionPreimage;
  assert.equal(stageKey(reversed), stageKey(preimage));
  const changes: Partial<ActionPreimage>[] = [
    { stage: "other" },
    { code: { ...preimage.code, command: "true" } as ActionPreimage["code"] },
    { params: { a: 1 } },
    { inputs: { one: input } },
    { inputs: { one: { ...input, digest: digestBytes("b") }, many: [input] } },
    { files: { "a.txt": digestBytes("a") } },
    { seed: 2 },
    { determinism: "external" },
    { device: { class: "cuda-sm90" } },
    { runtime: "node99" },
  ];
  const keys = [preimage, ...changes.map((change) => ({ ...preimage, ...change }))].map(stageKey);
  assert.equal(new Set(keys).size, keys.length);
});

test("stages that compute on a device, and no others, hold its class and the major version of Node in their keys", () => {
  const node = commands([[]]).nodes[0]!;
  const of = (device: boolean) => {
    const definition = defineStage({
      doc: "",
      params: z.strictObject({}),
      outputs: {},
      determinism: "bitwise",
      device,
      inputs: {},
      run: async () => {},
    });
    const module = { use: "sum", file: "", nativeFiles: {}, bundleFile: "", code: {} as CodeFingerprint, definition };
    return actionPreimage(
      { ...node, work: { kind: "module", module } },
      {},
      { root, device: "cpu", deviceClass: () => "cpu-f32" },
    );
  };
  assert.deepEqual(of(true).device, { class: "cpu-f32" });
  assert.equal(of(true).runtime, `node${/\d+/.exec(process.version)![0]}`);
  assert.ok(!("device" in of(false)) && !("runtime" in of(false)));
});

test("an unknown stage is answered with the names there are, an unknown instance with its siblings", () => {
  const pipeline = commands([[], []]);
  assert.throws(() => selectNodes(pipeline, "m0"), {
    code: "UNKNOWN_TARGET",
    hint: 'Stages are: n0, n1. Did you mean "n0"?',
  });
  assert.throws(() => selectNodes(pipeline, "n0[seed=1]"), { hint: "Instances of n0 are: n0" });
  assert.deepEqual(
    selectNodes(pipeline, "n1[*]").map((node) => node.id),
    ["n1"],
  );
});

test("tokens and proxies reach only stages whose result comes from outside", () => {
  const from = {
    PATH: "/bin",
    HF_TOKEN: "t",
    https_proxy: "p",
    LD_LIBRARY_PATH: "l",
    STLM_CPU_ISA: "avx2",
    EDITOR: "e",
  };
  const environment = (determinism: "bitwise" | "external", usesDevice: boolean) => {
    const { STLM_PACKAGE_ROOT: _, ...rest } = childEnvironment({ determinism, usesDevice, from, dataDir: "/data" });
    return rest;
  };
  const always = { PATH: "/bin", TZ: "UTC", LC_ALL: "C", STLM_DATA_DIR: "/data" };
  assert.deepEqual(environment("bitwise", false), always);
  assert.deepEqual(environment("bitwise", true), { ...always, LD_LIBRARY_PATH: "l", STLM_CPU_ISA: "avx2" });
  assert.deepEqual(environment("external", false), { ...always, HF_TOKEN: "t", https_proxy: "p" });
});

test("what waits for many names two", () => {
  const stages = (count: number) => Array.from({ length: count }, (_, n) => `s${n}`);
  const said = (count: number) => describeReason({ kind: "upstream", stages: stages(count) });
  assert.equal(said(2), "waits for s0, s1");
  assert.equal(said(20), "waits for s0, s1 and 18 more");
});
