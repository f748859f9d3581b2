import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import report from "../../stages/report.ts";
import { arm, claim, SyntheticLab } from "../report/synthetic-lab.ts";
import { runStage } from "../rigs/stage-rig.ts";

test("the stage writes the report's files from folders and matrices", async () => {
  using lab = new SyntheticLab();
  const inputs = await lab.inputs([...arm("baseline", 1.6, [0, 0.01]), ...arm("learned", 1.7, [0.002, 0.01])]);
  const { runs, controls, curves, shards } = inputs;
  const folders = (artifacts: typeof runs) => artifacts.map((artifact) => artifact.path());
  const matrices = (artifacts: typeof runs) => artifacts.map(({ matrix }) => matrix);
  const { outputs, progress } = await runStage(report, {
    params: { hypotheses: [claim("baseline", "learned")], resamples: 200 },
    inputs: { runs: folders(runs), controls: folders(controls), curves: folders(curves), shards: shards.path() },
    matrices: { runs: matrices(runs), controls: matrices(controls), curves: matrices(curves) },
  });
  const readme = readFileSync(path.join(outputs.report, "README.md"), "utf8");
  expect(readme).toContain("4 training runs of 2 models, none of them diverged.");
  expect(readme).toContain("`baseline-beats-learned`");
  for (const file of ["figures/perplexity.svg", "figures/final.svg", "results.json"]) {
    expect(existsSync(path.join(outputs.report, file)), file).toBe(true);
  }
  expect(progress.some(({ unit }) => unit === "claims")).toBe(true);
});

test("a claim with an unknown metric or without an axis is refused before anything runs", () => {
  const parse = (change: object) => report.params.safeParse({ hypotheses: [{ ...claim("a", "b"), ...change }] });
  expect(parse({}).success).toBe(true);
  expect(parse({ metric: "val_bits" }).success).toBe(false);
  expect(parse({ treatment: {} }).success).toBe(false);
  expect(parse({ smallestEffect: 0 }).success).toBe(false);
  expect(parse({ expected: true }).success).toBe(false);
});
