// What users get wrong, and what disks do: one clear message, the right exit code, nothing lost.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test, vi } from "vitest";
import { LabRig, withState } from "../rigs/lab-rig.ts";

// Whole runs, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

describe("a mistake", () => {
  test("in a key is pointed at, with a suggestion", async () => {
    using lab = LabRig.create();
    lab.edit("pipeline.yaml", "warmupSteps: 2", "warmupStep: 2");
    const { code, stderr } = await lab.cli("repro");
    expect(code).toBe(2);
    expect(stderr).toMatch(/Unknown key "warmupStep".*\n\s+pipeline\.yaml:\d+:\d+/);
    expect(stderr).toContain('Did you mean "warmupSteps"?');
  });

  test("that makes a circle names the circle", async () => {
    using lab = LabRig.create();
    const loop =
      'stages:\n  a: { cmd: "true", inputs: { b: b }, outs: [o] }\n  b: { cmd: "true", inputs: { a: a }, outs: [o] }';
    lab.edit("pipeline.yaml", "stages:", loop);
    const { code, stderr } = await lab.cli("repro");
    expect(code).toBe(2);
    expect(stderr).toContain("a -> b -> a");
  });

  test("that leaves a file out says which", async () => {
    using lab = LabRig.create();
    rmSync(lab.path("texts"), { recursive: true });
    const { code, stderr } = await lab.cli("repro", "corpus");
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^Stage "corpus": There is no file or folder texts\. \(DATASET_NOT_FOUND\)\n {2}pipeline\.yaml:\d+/,
    );
    expect(stderr).not.toContain("    at ");
  });

  test("on the command line ends with 2", async () => {
    using lab = LabRig.create();
    expect((await lab.cli("repo")).code).toBe(2);
    expect((await lab.cli("repro", "--jobs", "none")).code).toBe(2);
    expect((await lab.cli("repro", "trian")).stderr).toContain('Did you mean "train"?');
    expect((await lab.cli("sample", "train", "--top-p", "0")).code).toBe(2);
    expect((await lab.cli("init", "")).code).toBe(2);
  });

  test("before anything ran is not answered with a clean audit", async () => {
    using lab = LabRig.create();
    for (const command of [["audit"], ["audit", "feedfeedfeed"], ["runs"]]) {
      expect(await lab.cli(...command)).toMatchObject({ code: 2, stderr: expect.stringContaining("NO_STORE") });
    }
  });

  test("a report before its runs names what is not there", async () => {
    using lab = LabRig.create();
    const { code, stderr } = await lab.cli("report");
    expect(code).toBe(1);
    expect(stderr).toContain("not there with the present settings: shards, train[model=wide,seed=1], train[");
    expect(stderr).toMatch(/and \d+ more\. \(NOT_RUN\)/);
  });

  test("that leaves no stages is told by every command that plans", async () => {
    using lab = LabRig.create({ pipeline: "stages: {}\n" });
    for (const command of ["repro", "status"]) {
      expect(await lab.cli(command)).toMatchObject({ code: 2, stderr: expect.stringContaining("NO_STAGES") });
    }
  });

  test("outside of a lab says what to do", async () => {
    using lab = LabRig.create();
    rmSync(lab.path("pipeline.yaml"));
    const { code, stderr } = await lab.cli("repro");
    expect(code).toBe(2);
    expect(stderr).toContain("stlm-pipeline init");
  });
});

describe("init", () => {
  test("makes a lab that plans, and never overwrites one", async () => {
    using lab = LabRig.create();
    expect((await lab.cli("init", "new")).code).toBe(0);
    const plan = await lab.cli("repro", "--dry-run", "-C", "new", "--profile", "50m");
    expect(plan.code).toBe(0);
    expect(plan.stdout).toContain("train[model=baseline,seed=1]");
    const again = await lab.cli("init", "new");
    expect(again.code).toBe(2);
    expect(again.stderr).toContain("nothing was changed");
  });
});

/** A folder on a file system of its own, or the reason why there is none. */
function mount(options: string): { folder: string; unmount: () => void } | string {
  const folder = mkdtempSync(path.join(tmpdir(), "stlm-mount-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder], { stdio: "ignore" });
  } catch {
    return "mounting a tmpfs is not permitted here";
  }
  return {
    folder,
    unmount: () => {
      execFileSync("umount", ["-l", folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describe("a disk", () => {
  // Each size fails at another moment: the log of runs, a download, tokens, a checkpoint, an evaluation, the report.
  test.for([560, 640, 800, 1150, 1700, 1850])(
    "of %i KiB that is full ends the run with one message, and the run continues once there is space",
    async (size, context) => {
      const disk = mount(`size=${size}k`);
      if (typeof disk === "string") return context.skip(disk);
      try {
        const lab = LabRig.create({ folder: disk.folder });
        const { code, stderr } = await lab.cli("repro", "--jobs", "1");
        expect(code).toBe(1);
        expect(stderr.match(/The disk that holds .* is full \(ENOSPC\)/g)).toHaveLength(1);
        expect(stderr).not.toMatch(/Internal error|^ {4}at /m);
        execFileSync("mount", ["-o", "remount,size=200m", disk.folder]);
        const kept = (stderr.match(/^ {2}ran /gm) ?? []).length;
        const states = await lab.repro();
        expect(withState(states, "ran")).toHaveLength(15 - kept);
        expect(await lab.cli("audit")).toMatchObject({ code: 0 });
        expect(readdirSync(lab.path("artifacts", "tmp"))).toEqual([]);
      } finally {
        disk.unmount();
      }
    },
  );

  test("that cannot be written ends the run with one message", async (context) => {
    const disk = mount("size=20m");
    if (typeof disk === "string") return context.skip(disk);
    try {
      const lab = LabRig.create({ folder: disk.folder });
      execFileSync("mount", ["-o", "remount,ro", disk.folder]);
      const { code, stderr } = await lab.cli("repro");
      expect(code).toBe(1);
      expect(stderr).toMatch(/writ|read-only/i);
      expect(stderr).not.toContain("Internal error");
      expect((await lab.cli("repro", "--dry-run")).code).toBe(0);
    } finally {
      disk.unmount();
    }
  });

  test("that has a file in the place of artifacts/ says so", async () => {
    using lab = LabRig.create();
    writeFileSync(lab.path("artifacts"), "not a folder");
    const { code, stderr } = await lab.cli("repro");
    expect(code).toBe(1);
    expect(stderr).toContain("artifacts");
    expect(stderr).not.toContain("Internal error");
  });
});
