// A minimal launcher on the driver under test: device memory, uploads, downloads, launches that run at once. For tests of kernels and
// launch functions; the device itself goes through src/backend/cuda/driver.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { DType } from "../../../src/backend/backend.ts";
import { writeArgument } from "../../../src/backend/cuda/argument-memory.ts";
import { HostBlock, type NativeFunction, NativeLibrary, textAt } from "../../../src/backend/cuda/driver/api.ts";
import { ptxFolder } from "../../../src/backend/cuda/kernel-files.ts";
import type { CudaBuffer, Launch, Launcher } from "../../../src/backend/cuda/launcher.ts";
import type { SimulatorOptions } from "../../../src/backend/cuda/simulator/build.ts";
import { driverUnderTest, isSimulated } from "./driver-under-test.ts";

export { driverUnavailable, simulatorUnavailable } from "./driver-under-test.ts";

export const SCHEDULES = ["ascending", "descending", "random"] as const;
export type Schedule = (typeof SCHEDULES)[number];
/** `late`: cp.async delivers at the wait, with NaNs until then; `immediate`: when it is issued. */
export const ASYNC_MODES = ["late", "immediate"] as const;
export type AsyncMode = (typeof ASYNC_MODES)[number];

/** All pairs of a schedule and an asynchronous mode; on a GPU, which chooses for itself, two runs that must agree. */
export const MODES = isSimulated
  ? SCHEDULES.flatMap((schedule) => ASYNC_MODES.map((copies) => ({ schedule, copies })))
  : (["late", "immediate"] as const).map((copies) => ({ schedule: "ascending" as const, copies }));

const FUNCTIONS = {
  cuInit: "u",
  cuDevicePrimaryCtxRetain: "pi",
  cuCtxSetCurrent: "p",
  cuCtxSynchronize: "",
  cuMemAlloc_v2: "pp",
  cuMemFree_v2: "p",
  cuMemcpyHtoD_v2: "ppp",
  cuMemcpyDtoH_v2: "ppp",
  cuMemsetD8_v2: "pbp",
  cuModuleLoadData: "pp",
  cuModuleGetFunction: "ppp",
  cuFuncSetAttribute: "pii",
  cuLaunchKernel: "puuuuuuuppp",
  cudasimSetSchedule: "iiu",
  cudasimSetMemory: "p",
  cudasimReset: "",
} as const;
type FunctionName = keyof typeof FUNCTIONS;

const MAX_DYNAMIC_SHARED_BYTES = 8; // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
const STUB_PTX = ".version 7.8\n.target sm_80\n.address_size 64\n";
const NAN_BYTE = 0xff;

/** What can be put into device memory; Uint16Array holds the bits of bf16. */
export type HostArray = Float32Array | Int32Array | Uint16Array;

export class SimulatorLauncher implements Launcher {
  readonly multiprocessors = 4;
  /** Names of the kernels launched so far, in order. */
  readonly launched: string[] = [];
  private readonly functions = new Map<FunctionName, NativeFunction>();
  /** Of the simulator. */
  private readonly message: NativeFunction | undefined;
  private readonly kernelName: NativeFunction | undefined;
  private readonly conflicts: NativeFunction | undefined;
  private readonly modules = new Map<string, bigint>();
  private readonly kernels = new Map<string, { handle: bigint; sharedBytes: number }>();
  private readonly out = new HostBlock(64);
  private readonly args = new HostBlock(8192);
  private readonly argPointers = new HostBlock(64 * 8);
  private readonly scratch: bigint[] = [];

  /** Builds the simulator where it is needed and the cache lacks it, and opens its device. One per process and library. */
  static async open(options: SimulatorOptions = {}): Promise<SimulatorLauncher> {
    return new SimulatorLauncher(await driverUnderTest(options));
  }

  constructor(libraryPath: string) {
    const library = new NativeLibrary(libraryPath);
    for (const [name, types] of Object.entries(FUNCTIONS)) {
      const bound = library.bind(name, types);
      if (!bound && name !== "cuMemsetD8_v2" && !name.startsWith("cudasim"))
        throw new Error(`${libraryPath} does not export ${name}`);
      if (bound) this.functions.set(name as FunctionName, bound);
    }
    this.message = library.bind("cudasimMessage", "", "p");
    this.kernelName = library.bind("cudasimKernelName", "u", "p");
    this.conflicts = library.bind("cudasimBankConflicts", "", "p");
    if (this.isSimulator) this.driver("cudasimReset");
    this.driver("cuInit", 0);
    this.driver("cuDevicePrimaryCtxRetain", this.out.address, 0);
    this.driver("cuCtxSetCurrent", this.result());
    for (let i = 0; i < 64; i++) this.argPointers.view.setBigUint64(i * 8, this.args.address + BigInt(i * 8), true);
  }

  /** The order of threads and blocks, and when cp.async delivers, for the launches from now on. */
  setMode({ schedule, copies, seed = 1 }: { schedule: Schedule; copies: AsyncMode; seed?: number }): void {
    if (!this.isSimulator) return;
    this.driver("cudasimSetSchedule", SCHEDULES.indexOf(schedule), ASYNC_MODES.indexOf(copies), seed);
  }

  /** Of all kernels in the library. */
  kernelNames(): string[] {
    const names: string[] = [];
    for (let i = 0; ; i++) {
      const address = BigInt(this.kernelName!(i));
      if (address === 0n) return names;
      names.push(textAt(address));
    }
  }

  /** Rows that ldmatrix read from banks in use, so far; undefined on a GPU, which does not say. */
  bankConflicts(): number | undefined {
    return this.conflicts && Number(this.conflicts());
  }

  launch({ kernel, grid, threads, sharedBytes = 0, args }: Launch): void {
    if (grid.some((blocks) => blocks === 0)) return;
    this.launched.push(kernel);
    const entry = this.kernelOf(kernel);
    if (sharedBytes > entry.sharedBytes) {
      this.driver("cuFuncSetAttribute", entry.handle, MAX_DYNAMIC_SHARED_BYTES, sharedBytes);
      entry.sharedBytes = sharedBytes;
    }
    for (const [i, arg] of args.entries()) writeArgument(this.args.view, i * 8, arg);
    const pointers = args.length > 0 ? this.argPointers.address : 0n;
    this.driver("cuLaunchKernel", entry.handle, ...grid, threads, 1, 1, sharedBytes, 0n, pointers, 0n);
    this.driver("cuCtxSynchronize");
  }

  workspace(bytes: number): bigint {
    const address = this.allocateBytes(bytes);
    this.scratch.push(address);
    return address;
  }

  /** Ends an operation: its workspace is freed, which checks that nothing was written beside it. */
  endOperation(): void {
    for (const address of this.scratch.splice(0)) this.driver("cuMemFree_v2", address);
  }

  /** A buffer with the values of `host`; a Uint16Array becomes bf16. */
  upload(host: HostArray): CudaBuffer {
    const dtype: DType = host instanceof Float32Array ? "f32" : host instanceof Int32Array ? "i32" : "bf16";
    const buffer = { dtype, length: host.length, address: this.allocateBytes(host.byteLength) };
    this.write(buffer, host);
    return buffer;
  }

  /** Memory full of NaNs. */
  allocate(dtype: DType, length: number): CudaBuffer {
    const bytes = length * (dtype === "bf16" ? 2 : 4);
    const address = this.allocateBytes(bytes);
    // The simulator, which lacks the function, fills memory by itself.
    if (this.functions.has("cuMemsetD8_v2") && bytes > 0) this.driver("cuMemsetD8_v2", address, NAN_BYTE, bytes);
    return { dtype, length, address };
  }

  write(buffer: CudaBuffer, host: HostArray): void {
    const block = new HostBlock(host.byteLength);
    new Uint8Array(block.view.buffer).set(new Uint8Array(host.buffer, host.byteOffset, host.byteLength));
    this.driver("cuMemcpyHtoD_v2", buffer.address, block.address, host.byteLength);
  }

  /** The buffer's values; bf16 as its bits. */
  download(buffer: CudaBuffer): HostArray {
    const bytes = buffer.length * (buffer.dtype === "bf16" ? 2 : 4);
    const block = new HostBlock(bytes);
    this.driver("cuMemcpyDtoH_v2", block.address, buffer.address, bytes);
    const memory = block.view.buffer.slice(0, bytes) as ArrayBuffer;
    if (buffer.dtype === "bf16") return new Uint16Array(memory);
    return buffer.dtype === "f32" ? new Float32Array(memory) : new Int32Array(memory);
  }

  free(buffer: CudaBuffer): void {
    this.driver("cuMemFree_v2", buffer.address);
  }

  /** Calls a function of the driver; throws with its code and the simulator's text where it fails. */
  driver(name: FunctionName, ...args: (number | bigint)[]): void {
    const code = this.functions.get(name)!(...args);
    if (code !== 0) throw new Error(`${name} returned ${code}: ${this.message ? textAt(BigInt(this.message())) : ""}`);
  }

  private allocateBytes(bytes: number): bigint {
    this.driver("cuMemAlloc_v2", this.out.address, Math.max(bytes, 1));
    return this.result();
  }

  private kernelOf(name: string): { handle: bigint; sharedBytes: number } {
    let entry = this.kernels.get(name);
    if (!entry) {
      const text = new HostBlock(name.length + 1);
      new Uint8Array(text.view.buffer).set(new TextEncoder().encode(`${name}\0`));
      this.driver("cuModuleGetFunction", this.out.address, this.moduleOf(name), text.address);
      entry = { handle: this.result(), sharedBytes: 48 * 1024 };
      this.kernels.set(name, entry);
    }
    return entry;
  }

  /** The simulator has its kernels compiled in; a GPU's driver compiles the PTX file that has the kernel. */
  private moduleOf(kernel: string): bigint {
    const ptx = this.isSimulator ? STUB_PTX : ptxWith(kernel);
    let module = this.modules.get(ptx);
    if (module === undefined) {
      const text = new TextEncoder().encode(`${ptx}\0`);
      const block = new HostBlock(text.length);
      new Uint8Array(block.view.buffer).set(text);
      this.driver("cuModuleLoadData", this.out.address, block.address);
      module = this.result();
      this.modules.set(ptx, module);
    }
    return module;
  }

  private get isSimulator(): boolean {
    return this.kernelName !== undefined;
  }

  private result(): bigint {
    return this.out.view.getBigUint64(0, true);
  }
}

function ptxWith(kernel: string): string {
  const files = readdirSync(ptxFolder()).filter((name) => name.endsWith(".ptx"));
  const texts = files.map((name) => readFileSync(path.join(ptxFolder(), name), "utf8"));
  const found = texts.find((text) => text.includes(`.entry ${kernel}(`));
  if (found === undefined) throw new Error(`no PTX file has the kernel ${kernel}`);
  return found;
}

/** Rounded to the nearest bf16, ties to even, as bits. */
export function toBf16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (u) => (u + 0x7fff + ((u >>> 16) & 1)) >>> 16);
}

export function fromBf16(bits: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(bits, (u) => u << 16).buffer);
}
