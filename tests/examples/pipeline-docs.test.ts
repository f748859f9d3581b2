// docs/pipeline.md: its lab runs as it stands, and no key of the schemas is left out.

import { mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { modelConfigSchema } from "../../src/models/config.ts";
import { stageSpecSchema } from "../../src/pipeline/config-schema.ts";
import { hypothesisSchema } from "../../src/report/hypothesis.ts";
import { metricNames } from "../../src/report/metrics.ts";
import { dropoutScheduleSchema } from "../../src/train/dropout-schedules.ts";
import { scheduleNames } from "../../src/train/schedules.ts";
import { packageRoot } from "../../src/util/package-root.ts";
import contamination from "../../stages/contamination.ts";
import download from "../../stages/download.ts";
import evaluate from "../../stages/evaluate.ts";
import report from "../../stages/report.ts";
import shard from "../../stages/shard.ts";
import tokenize from "../../stages/tokenize.ts";
import train from "../../stages/train.ts";
import { LabRig, withState } from "../rigs/lab-rig.ts";

const page = readFileSync(path.join(packageRoot(), "docs", "pipeline.md"), "utf8");
const fenced = (language: string) => new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "m").exec(page)![1]!;

/** Names of a schema's members, those inside of members too. */
function words(schema: z.ZodType): string[] {
  const found: string[] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    const { properties = {}, ...rest } = node as { properties?: Record<string, unknown> };
    found.push(...Object.keys(properties));
    for (const member of [...Object.values(properties), ...Object.values(rest)]) visit(member);
  };
  visit(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }));
  return found;
}

test("the page names every key of a stage, of a claim and of the parameters", () => {
  const { name: _, ...claim } = hypothesisSchema.shape;
  const parameters = [contamination, download, evaluate, report, shard, tokenize, train].flatMap(({ params }) =>
    Object.keys((params as unknown as { shape: Record<string, unknown> }).shape),
  );
  const wanted = [
    ...[...Object.keys(stageSpecSchema.shape), ...Object.keys(claim), ...parameters],
    ...words(modelConfigSchema),
    ...words(dropoutScheduleSchema),
    ...[...scheduleNames, ...metricNames],
  ];
  expect(wanted.filter((word) => !new RegExp(`[\`{ .]${word}[\`:, ]`).test(page))).toEqual([]);
});

test("its lab runs, with its minimal pairs in the place of the bundled benchmarks", async () => {
  const lab = LabRig.create({ pipeline: fenced("yaml") });
  try {
    mkdirSync(lab.path("stages"));
    lab.write("stages/my-pairs.ts", fenced("ts"));
    lab.edit("pipeline.yaml", "  benchmarks: { use: download }", "  benchmarks: { use: my-pairs }");
    lab.edit("pipeline.yaml", "  benchmarks: { dataset: bundled-benchmarks }\n", "");
    const seeds = ["train", "evaluate"].flatMap((stage) => ["--set", `stages.${stage}.matrix.seed=[1]`]);
    const states = await lab.repro("--set", "train.steps=4", "--set", "train.warmupSteps=1", ...seeds);
    expect(withState(states, "ran")).toHaveLength(Object.keys(states).length);
    expect(lab.read("reports/README.md")).toContain("BLiMP (2 items)");
    const curves = lab.read("artifacts/latest/curves/all.jsonl").trimEnd().split("\n");
    expect(curves.filter((line) => "loss" in JSON.parse(line))).toHaveLength(8);
  } finally {
    rmSync(lab.folder, { recursive: true });
  }
});
