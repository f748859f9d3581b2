// What the launch functions pass against what the kernels declare. A GPU's driver takes a launch at its word: with one argument too few
// it reads whatever lies there, and a wrong type shows as a wrong number at best.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { ptxFolder } from "../../src/backend/cuda/kernel-files.ts";
import { launchAttention, launchAttentionGradient } from "../../src/backend/cuda/launch/attention.ts";
import { launchCopy } from "../../src/backend/cuda/launch/elementwise.ts";
import { launchEmbedding } from "../../src/backend/cuda/launch/embedding.ts";
import { type GemmArgs, ownGemm } from "../../src/backend/cuda/launch/gemm.ts";
import type { CudaBuffer, KernelArgument, Launch, Launcher } from "../../src/backend/cuda/launcher.ts";
import { launchCase } from "../backend/cuda/kernel-harness.ts";
import type { HostArray, SimulatorLauncher } from "../backend/cuda/simulator-launcher.ts";
import { drawCase, KERNEL_NAMES } from "../backend/kernel-cases.ts";

interface Parameter {
  /** As PTX calls it: u64, u32, f32, or b8 for a structure. */
  readonly type: string;
  /** Of a structure. */
  readonly bytes: number;
}

interface Declaration {
  readonly parameters: readonly Parameter[];
  readonly mostThreads: number;
}

/** Of every kernel in the package. */
function declarations(): Map<string, Declaration> {
  const entry = /\.entry (\w+)\(([^)]*)\)\s*(?:\.maxntid (\d+))?/g;
  const texts = readdirSync(ptxFolder())
    .filter((name) => name.endsWith(".ptx"))
    .map((name) => readFileSync(path.join(ptxFolder(), name), "utf8"));
  const declared = texts.flatMap((text) => [...text.matchAll(entry)]);
  return new Map(
    declared.map(([, name, list, threads]) => {
      const found = [...list!.matchAll(/\.param (?:\.align \d+ )?\.(\w+) \w+(?:\[(\d+)\])?/g)];
      const parameters = found.map(([, type, bytes]) => ({ type: type!, bytes: Number(bytes ?? 0) }));
      return [name!, { parameters, mostThreads: Number(threads ?? 1024) }];
    }),
  );
}

const PTX_TYPES: Readonly<Record<string, string>> = { pointer: "u64", i32: "u32", u32: "u32", f32: "f32", table: "b8" };

/** Throws where the rows of a table are no rows of the structure, or more than it has. */
function requireFitting(rows: readonly (readonly KernelArgument[])[], bytes: number): void {
  for (const row of rows) {
    const used = row.reduce((sum, { type }) => sum + (type === "pointer" ? 8 : 4), 0);
    const stride = Math.ceil(used / 8) * 8;
    expect(bytes % stride).toBe(0);
    expect(rows.length).toBeLessThanOrEqual(bytes / stride);
  }
}

/** A launcher with memory that nobody reads: it only keeps what it is asked to launch. */
class Notes implements Launcher {
  readonly launches: Launch[] = [];
  readonly multiprocessors = 132;
  private end = 256n;

  launch(launch: Launch): void {
    this.launches.push(launch);
  }

  workspace(bytes: number): bigint {
    const address = this.end;
    this.end += BigInt(Math.ceil(bytes / 256) * 256);
    return address;
  }

  upload(host: HostArray): CudaBuffer {
    const dtype = host instanceof Float32Array ? "f32" : host instanceof Int32Array ? "i32" : "bf16";
    return { dtype, length: host.length, address: this.workspace(host.byteLength) };
  }

  download({ dtype, length }: CudaBuffer): HostArray {
    return dtype === "f32" ? new Float32Array(length) : new (dtype === "i32" ? Int32Array : Uint16Array)(length);
  }

  free(): void {}

  endOperation(): void {}
}

/** Launches of every kernel: random cases of all that the contract has, every form of a product, every head dimension, all types. */
function everyLaunch(): readonly Launch[] {
  const notes = new Notes();
  const device = notes as unknown as SimulatorLauncher;
  for (const kernel of KERNEL_NAMES.filter((name) => name !== "matmul")) {
    const types = ["attention", "attentionGradient", "headLoss"].includes(kernel) ? ["bf16"] : ["f32", "bf16"];
    for (let seed = 1; seed <= 3; seed++) {
      for (const type of types) launchCase(device, drawCase(kernel, seed), type as "f32" | "bf16");
    }
  }
  const dense = { M: 128, N: 128, K: 512, lda: 128, ldb: 512, ldc: 128, alpha: 1 };
  for (const shape of ["128x128", "128x64", "64x64", "any"] as const) {
    for (const [transposeA, transposeB] of [
      [false, false],
      [false, true],
      [true, false],
      [true, true],
    ] as const) {
      if (transposeA && transposeB && shape !== "any") continue;
      const operands = { c: 0n, a: 0n, b: 0n, cType: "f32", transposeA, transposeB } as const;
      ownGemm.gemm(notes, { ...dense, ...operands, tile: { shape, splits: 2 } } satisfies GemmArgs);
    }
  }
  for (const D of [16, 32, 64, 128, 256]) {
    const [B, T, H, Hkv] = [1, 4, 2, 1];
    const shape = { B, T, H, Hkv, D, scale: 1 };
    const half = (length: number) => notes.upload(new Uint16Array(length));
    const rows = { y: half(T * H * D), qkv: half(T * 4 * D), logSumExp: notes.upload(new Float32Array(H * T)) };
    launchAttention(notes, { ...shape, ...rows });
    launchAttention(notes, {
      ...shape,
      ...rows,
      cache: { keysValues: half(8 * 2 * D), capacity: 8, firstPosition: 1 },
    });
    launchAttentionGradient(notes, { ...shape, ...rows, dy: half(T * H * D), dqkv: half(T * 4 * D) });
  }
  const [half, single] = [notes.upload(new Uint16Array(8)), notes.upload(new Float32Array(8))];
  launchCopy(notes, { y: half, x: single, length: 8 });
  launchCopy(notes, { y: single, x: half, length: 8 });
  launchEmbedding(notes, { y: half, table: half, ids: notes.upload(new Int32Array(2)), N: 2, T: 2, C: 4, V: 2 });
  return notes.launches;
}

test("every kernel gets as many arguments as it declares, of its types, and no more threads than it allows", () => {
  const declared = declarations();
  const launches = everyLaunch();
  for (const { kernel, args, threads, grid, sharedBytes = 0 } of launches) {
    const { parameters, mostThreads } = declared.get(kernel) ?? expect.fail(`no PTX declares ${kernel}`);
    const types = args.map(({ type }) => PTX_TYPES[type]);
    expect(types, kernel).toEqual(parameters.map(({ type }) => type));
    for (const [i, argument] of args.entries()) {
      if ("rows" in argument) requireFitting(argument.rows as KernelArgument[][], parameters[i]!.bytes);
    }
    expect(threads, kernel).toBeLessThanOrEqual(mostThreads);
    expect(Math.max(grid[1], grid[2]), kernel).toBeLessThanOrEqual(65_535);
    expect(sharedBytes, kernel).toBeLessThanOrEqual(99 * 1024);
  }
  const launched = new Set(launches.map(({ kernel }) => kernel));
  expect([...declared.keys()].filter((kernel) => !launched.has(kernel))).toEqual([]);
});
