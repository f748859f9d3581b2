// The PTX that ships: of the sources as they are, readable by old drivers, and within the limits of every GPU that is promised.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { compilePtx, nvccVersion, PTX_VERSION, ptxFile, readIndex, staleKernels } from "../../../scripts/ptx.ts";
import { commandOnPath } from "../../../src/backend/cpu/build.ts";
import { kernelFiles, kernelFolder } from "../../../src/backend/cuda/kernel-files.ts";

const run = promisify(execFile);

describe("the PTX of the package", () => {
  test("is of the kernel files as they are", () => {
    expect(staleKernels(), "run `make ptx` where nvcc is on the PATH, and commit src/backend/cuda/ptx").toEqual([]);
  });

  test.each(kernelFiles())("%s is for compute capability 8.0 and drivers since CUDA 11.8", (file) => {
    const ptx = readFileSync(ptxFile(file), "utf8");
    expect(ptx).toContain(`.version ${PTX_VERSION}\n`);
    expect(ptx).toContain(".target sm_80\n");
  });

  test.each(kernelFiles())("%s has no product or sum that a driver may fuse as it likes", (file) => {
    const ptx = readFileSync(ptxFile(file), "utf8");
    expect(/\b(?:mul|add|sub)\.(?:ftz\.)?f(?:32|64)\b.*/.exec(ptx)?.[0]).toBeUndefined();
  });

  test.each(kernelFiles())(
    "%s has kernels with at most 4,096 bytes of parameters, which drivers before CUDA 12.1 allow",
    (file) => {
      const entries = [...readFileSync(ptxFile(file), "utf8").matchAll(/\.entry (\w+)\(([^)]*)\)/g)];
      expect(entries.length).toBeGreaterThan(0);
      const tooMany = entries
        .map(([, kernel, text]) => [kernel, parameterBytes(text!)] as const)
        .filter(([, b]) => b > 4096);
      expect(tooMany).toEqual([]);
    },
  );

  test.each(kernelFiles())("%s includes nothing of CUDA", (file) => {
    const text = readFileSync(path.join(kernelFolder(), file), "utf8");
    for (const [, name] of text.matchAll(/#include\s+(\S+)/g)) expect(name).toMatch(/^"[\w-]+\.cuh"$/);
  });
});

/** Of declarations such as `.param .u64 adamw_param_0, .param .align 8 .b8 adamw_param_14[3584]`. */
function parameterBytes(text: string): number {
  const declarations = text.split(",").filter((declaration) => declaration.trim() !== "");
  return declarations.reduce((end, declaration) => {
    const found = /^\s*\.param (?:\.align (\d+) )?\.[a-z](\d+) [\w$]+(?:\[(\d+)\])?\s*$/.exec(declaration);
    if (!found) throw new Error(`a parameter in a form that nvcc did not write before: ${declaration}`);
    const size = Number(found[2]) / 8;
    const alignment = Number(found[1] ?? size);
    return Math.ceil(end / alignment) * alignment + size * Number(found[3] ?? 1);
  }, 0);
}

const nvcc = commandOnPath(["nvcc"]);
const isSameNvcc = nvcc !== undefined && (await nvccVersion(nvcc)) === readIndex().nvcc;

describe.skipIf(!nvcc)(`compiled anew${nvcc ? "" : " (skipped: no nvcc of the CUDA toolkit on the PATH)"}`, () => {
  test.concurrent.each(kernelFiles())(
    "%s compiles, to the PTX that ships where nvcc is of the version that made it",
    async (file) => {
      const ptx = await compilePtx(nvcc!, file);
      expect(ptx).toContain(".entry");
      if (isSameNvcc) expect(ptx === readFileSync(ptxFile(file), "utf8"), "equal to the shipped file").toBe(true);
    },
    300_000,
  );
});

// The assembler of the toolkit does what a driver does with the PTX.
const ptxas = commandOnPath(["ptxas"]);
const ARCHITECTURES = ["sm_80", "sm_90", "sm_120"] as const;
const STATIC_SHARED_LIMIT = 48 * 1024;

interface KernelUse {
  readonly kernel: string;
  readonly spilledBytes: number;
  readonly sharedBytes: number;
  readonly registers: number;
}

/** What `ptxas -v` says of each kernel of a file. */
async function assemble(file: string, architecture: string): Promise<KernelUse[]> {
  const args = ["-v", `-arch=${architecture}`, "-o", "/dev/null", ptxFile(file)];
  const { stderr } = await run(ptxas!, args, { timeout: 120_000, maxBuffer: 1 << 24 });
  return stderr
    .split(/Compiling entry function '/)
    .slice(1)
    .map((text) => {
      const spills = /(\d+) bytes spill stores, (\d+) bytes spill loads/.exec(text)!;
      return {
        kernel: /^[\w$]+/.exec(text)![0],
        spilledBytes: Number(spills[1]) + Number(spills[2]),
        sharedBytes: Number(/(\d+) bytes smem/.exec(text)?.[1] ?? 0),
        registers: Number(/Used (\d+) registers/.exec(text)![1]),
      };
    });
}

describe.skipIf(!ptxas)(
  `assembled for a GPU${ptxas ? "" : " (skipped: no ptxas of the CUDA toolkit on the PATH)"}`,
  () => {
    const jobs = kernelFiles().flatMap((file) => ARCHITECTURES.map((architecture) => ({ file, architecture })));

    test.concurrent.each(jobs)(
      "$file on $architecture spills no register and fits into shared memory",
      async (job) => {
        const kernels = await assemble(job.file, job.architecture);
        expect(kernels.length).toBeGreaterThan(0);
        const misfits = kernels.filter((use) => use.spilledBytes > 0 || use.sharedBytes > STATIC_SHARED_LIMIT);
        expect(misfits).toEqual([]);
      },
      300_000,
    );
  },
);
