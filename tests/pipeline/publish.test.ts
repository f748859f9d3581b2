// Reports on their way out of the store to where people read them.

import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { test } from "vitest";
import { moduleText, PipelineRig } from "../rigs/pipeline-rig.ts";

test("a report is copied to reports/, restored when deleted, and rid of files that it no longer has", async () => {
  const report = (files: string[]) => ({
    stages: { report: { use: "report", params: { files } } },
    files: {
      "stages/report.ts": moduleText(
        "for (const name of params.files) writeFileSync(outputs.report.path(name), name);",
      ).replace('outputs: { out: "files" }', 'outputs: { report: "report" }'),
    },
  });
  await using rig = await PipelineRig.create(report(["README.md", "figures/a.svg"]));
  await rig.run();
  assert.equal(readFileSync(rig.file("reports/figures/a.svg"), "utf8"), "figures/a.svg");
  await rig.write("reports/notes.txt", "mine");
  rmSync(rig.file("reports/README.md"));
  assert.deepEqual(await rig.run(), { report: "fresh" });
  assert.equal(readFileSync(rig.file("reports/README.md"), "utf8"), "README.md");
  await rig.setStages(report(["README.md"]).stages);
  await rig.run();
  assert.deepEqual(
    rig.filesBelow("reports").map((file) => path.relative(rig.root, file)),
    ["reports/README.md", "reports/notes.txt"],
  );
});

test("what stands in the place of reports/ or of a report's file is told, and left where it is", async () => {
  await using rig = await PipelineRig.create({
    stages: { report: { use: "report" } },
    files: {
      reports: "a file",
      "stages/report.ts": moduleText('writeFileSync(outputs.report.path("README.md"), "x");').replace(
        'outputs: { out: "files" }',
        'outputs: { report: "report" }',
      ),
    },
  });
  await assert.rejects(rig.run(), { code: "REPORTS_BLOCKED", message: /reports: a file or folder of another kind/ });
  rmSync(rig.file("reports"));
  await rig.write("reports/README.md/notes.txt", "mine");
  await assert.rejects(rig.run(), { code: "REPORTS_BLOCKED" });
  assert.equal(readFileSync(rig.file("reports/README.md/notes.txt"), "utf8"), "mine");
});
