// `doctor`: what this machine has, what the lab needs, and what to do about the difference.

import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import path from "node:path";
import type { Precision } from "../../backend/backend.ts";
import { compilerOnPath } from "../../backend/cpu/build.ts";
import { type CpuDescription, describeCpu } from "../../backend/cpu/index.ts";
import { describeCuda } from "../../backend/cuda/describe.ts";
import { type DeviceName, resolveDevice } from "../../backend/index.ts";
import { messageOf } from "../../util/errors.ts";
import { formatBytes } from "../../util/format.ts";
import { packageVersion } from "../../util/package-root.ts";
import { columns, EXIT, print, printJson } from "../output.ts";

type Verdict = "ok" | "warning" | "missing";

interface Finding {
  readonly what: string;
  readonly verdict: Verdict;
  readonly detail: string;
  /** What to do; only where the verdict is not ok. */
  readonly remedy?: string | undefined;
}

const NEEDED_NODE = [20, 19] as const;
const NEEDED_DISK_BYTES = 2e9;

export async function doctor(options: { directory: string; json: boolean }): Promise<number> {
  const [cpu, compiler] = [await describeCpu(), compilerOnPath()];
  const findings = [
    node(),
    machine(),
    cpuDevice(cpu, compiler),
    ...(await cudaDevice()),
    autoDevice(cpu, { f32: resolveDevice("auto", "f32"), bf16: resolveDevice("auto", "bf16") }),
    await loads("DuckDB", "@duckdb/node-api"),
    await loads("esbuild", "esbuild"),
    ...disk(options.directory),
    lab(options.directory),
  ];
  if (options.json) printJson({ version: packageVersion(), findings });
  else {
    const marks: Record<Verdict, string> = { ok: "ok", warning: "warn", missing: "FAIL" };
    print(`stlm-pipeline ${packageVersion()}`);
    print(columns(findings.map(({ what, verdict, detail }) => [marks[verdict], what, detail])));
    for (const { what, remedy } of findings) if (remedy) print(`-> ${what}: ${remedy}`);
  }
  return findings.some((finding) => finding.verdict === "missing") ? EXIT.stageFailed : EXIT.done;
}

function node(): Finding {
  const [major, minor] = process.versions.node.split(".").map(Number) as [number, number];
  const good = major > NEEDED_NODE[0] || (major === NEEDED_NODE[0] && minor >= NEEDED_NODE[1]);
  return {
    what: "Node.js",
    verdict: good ? "ok" : "missing",
    detail: process.versions.node,
    remedy: good ? undefined : `install Node.js ${NEEDED_NODE.join(".")} or newer`,
  };
}

function machine(): Finding {
  const model = cpus()[0]?.model.trim() || "unknown processor";
  return {
    what: "machine",
    verdict: "ok",
    detail: `${process.platform}-${process.arch}, ${availableParallelism()} cores (${model}), ${formatBytes(totalmem())} memory`,
  };
}

/** Where the C kernels come from and why from there; `compiler` is the path of the one that would be taken. */
export function cpuDevice(cpu: CpuDescription, compiler: string | undefined): Finding {
  if (!cpu.available) {
    return {
      what: "cpu device",
      verdict: "warning",
      detail: cpu.reason ?? "not available",
      remedy:
        compiler === undefined
          ? "install a C compiler (Debian: apt-get install gcc libc6-dev); until then training uses the slow reference device"
          : `mend ${compiler} or name another in CC (Debian: apt-get install gcc libc6-dev); until then training stops here, or asks for --device reference, which is slow`,
    };
  }
  const why = compiler === undefined ? "there is no C compiler on the PATH" : `${compiler} does not compile it`;
  const origin = cpu.compiler ?? `prebuilt library, because ${why}`;
  return {
    what: "cpu device",
    verdict: "ok",
    detail: `f32 by ${cpu.isa}, bf16 by ${bf16Path(cpu)}, ${origin}, ${cpu.library}`,
  };
}

/** Which instructions multiply bfloat16; without such, float32 arithmetic on rounded numbers. */
function bf16Path({ bf16, noBf16 }: CpuDescription): string {
  if (bf16 === undefined) return `nothing (${noBf16})`;
  return bf16 === "amx" || bf16 === "avx512bf16" ? bf16 : `${bf16}, emulated`;
}

async function cudaDevice(): Promise<Finding[]> {
  return (await describeCuda()).map(({ ok, ...finding }) => ({ ...finding, verdict: ok ? "ok" : "warning" }));
}

/** What `auto` comes to. A compiler that is there and does not work is found out by starting it alone. */
export function autoDevice({ available }: CpuDescription, { f32, bf16 }: Record<Precision, DeviceName>): Finding {
  const isBroken = !available && (f32 === "cpu" || bf16 === "cpu");
  const detail = f32 === bf16 ? `means ${f32} here` : `means ${f32} for f32 and ${bf16} for bf16 here`;
  return {
    what: "--device auto",
    verdict: isBroken ? "warning" : "ok",
    detail: isBroken ? `${detail}, and cpu cannot be started` : detail,
  };
}

async function loads(what: string, name: string): Promise<Finding> {
  try {
    await import(name);
    return { what, verdict: "ok", detail: "loads" };
  } catch (error) {
    return { what, verdict: "missing", detail: messageOf(error), remedy: "run npm install again in this folder" };
  }
}

function disk(directory: string): Finding[] {
  const folder = existsSync(path.join(directory, "artifacts")) ? path.join(directory, "artifacts") : directory;
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    return [
      {
        what: "disk",
        verdict: "missing",
        detail: `${folder} is not writable`,
        remedy: "change its owner or mode, or make the lab elsewhere",
      },
    ];
  }
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const enough = free > NEEDED_DISK_BYTES;
  return [
    {
      what: "disk",
      verdict: enough ? "ok" : "warning",
      detail: `${formatBytes(free)} free`,
      remedy: enough
        ? undefined
        : "free some space: artifacts of the default profile need about 0.2 GB, those of 50m about 80 GB",
    },
  ];
}

function lab(directory: string): Finding {
  const found = existsSync(path.join(directory, "pipeline.yaml"));
  return {
    what: "lab",
    verdict: found ? "ok" : "warning",
    detail: found ? path.join(path.resolve(directory), "pipeline.yaml") : "no pipeline.yaml here",
    remedy: found ? undefined : "change to a lab's folder, or make one with `stlm-pipeline init DIR`",
  };
}
