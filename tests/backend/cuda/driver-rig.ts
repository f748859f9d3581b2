// The simulated driver as tests of the driver layer use it: the very code that talks to libcuda, and the simulator's own controls.

import { CudaDevice, type DeviceOptions } from "../../../src/backend/cuda/device.ts";
import { HostBlock, type NativeFunction, NativeLibrary, textAt } from "../../../src/backend/cuda/driver/api.ts";
import { chooseDevice, type Driver, openDriver } from "../../../src/backend/cuda/driver/driver.ts";
import type { ModuleSource } from "../../../src/backend/cuda/driver/modules.ts";
import type { Launch } from "../../../src/backend/cuda/launcher.ts";
import { buildSimulator } from "../../../src/backend/cuda/simulator/build.ts";

export { simulatorUnavailable } from "../../../src/backend/cuda/simulator/build.ts";

/** The text of a module for these kernels, as far as the simulator reads it. */
function moduleOf(name: string, kernels: readonly string[]): ModuleSource {
  const entries = kernels.map((kernel) => `.visible .entry ${kernel}(`);
  return { name, ptx: `.version 7.8\n.target sm_80\n.address_size 64\n${entries.join("\n")}\n` };
}

/** Kernels that the tests launch by hand. */
export const ELEMENTWISE = moduleOf("elementwise.ptx", ["add_f32", "scale_f32", "copy_32", "fill_32", "cast_f32_bf16"]);

export class DriverRig {
  private readonly controls = new Map<string, NativeFunction>();
  private readonly text = new HostBlock(256);

  private readonly kernelName: NativeFunction;

  private constructor(readonly library: string) {
    const simulator = new NativeLibrary(library);
    this.kernelName = simulator.bind("cudasimKernelName", "u", "p")!;
    for (const [name, types] of [
      ["cudasimReset", ""],
      ["cudasimSetDeferred", "i"],
      ["cudasimSetMemory", "p"],
      ["cudasimSetDevice", "iii"],
      ["cudasimInjectFailure", "pui"],
      ["cudasimCallCount", "p"],
      ["cudasimSetSchedule", "iiu"],
    ] as const) {
      this.controls.set(name, simulator.bind(name, types)!);
    }
  }

  /** Builds the simulator with these kernel files, and makes it the driver of this process. */
  static async create(kernels?: readonly string[]): Promise<DriverRig> {
    const library = await buildSimulator(kernels ? { kernels } : {});
    process.env["STLM_CUDA_LIBRARY"] = library;
    for (const variable of ["STLM_CUBLASLT_LIBRARY", "STLM_NVML_LIBRARY"]) process.env[variable] = "none";
    return new DriverRig(library);
  }

  /** Everything as when the simulator was loaded. */
  reset(): void {
    this.controls.get("cudasimReset")!();
  }

  /** Queued work runs when something waits for it, as late as the API allows. */
  defer(): void {
    this.controls.get("cudasimSetDeferred")!(1);
  }

  setMemory(bytes: number): void {
    this.controls.get("cudasimSetMemory")!(bytes);
  }

  setDevice(count: number, driverVersion = 13000, capability = 80): void {
    this.controls.get("cudasimSetDevice")!(count, driverVersion, capability);
  }

  /** The n-th call from now on (1: the next) returns this CUresult. */
  fail(call: string, code: number, n = 1): void {
    this.controls.get("cudasimInjectFailure")!(this.address(call), n, code);
  }

  count(call: string): number {
    return Number(this.controls.get("cudasimCallCount")!(this.address(call)));
  }

  /** In which order threads run: 0 ascending, 1 descending, 2 random. */
  setSchedule(schedule: number, asyncCopies = 0, seed = 1): void {
    this.controls.get("cudasimSetSchedule")!(schedule, asyncCopies, seed);
  }

  /** Every kernel that was compiled in, as one module. */
  allKernels(): ModuleSource {
    const names: string[] = [];
    for (let address = this.kernelName(0); address; address = this.kernelName(names.length)) {
      names.push(textAt(BigInt(address)));
    }
    return moduleOf("all.ptx", names);
  }

  /** A fresh simulator's device with the elementwise kernels. */
  openDevice(options: Partial<DeviceOptions> = {}): { device: CudaDevice; driver: Driver } {
    const driver = openDriver();
    return { device: new CudaDevice(driver, chooseDevice(driver), { modules: [ELEMENTWISE], ...options }), driver };
  }

  private address(text: string): bigint {
    new Uint8Array(this.text.view.buffer).set(new TextEncoder().encode(`${text}\0`));
    return this.text.address;
  }
}

type Addressed = { readonly address: bigint };
const pointer = ({ address }: Addressed) => ({ type: "pointer", value: address }) as const;
const grid = (length: number) => [Math.max(1, Math.ceil(length / 1024)), 1, 1] as const;

/** y = a + b. */
export function addition(y: Addressed, a: Addressed, b: Addressed, length: number): Launch {
  const args = [pointer(y), pointer(a), pointer(b), { type: "u32", value: length } as const];
  return { kernel: "add_f32", grid: grid(length), threads: 256, args };
}

/** y = factor x. */
export function scaling(y: Addressed, x: Addressed, factor: number, length: number): Launch {
  const args = [
    pointer(y),
    pointer(x),
    { type: "f32", value: factor } as const,
    { type: "u32", value: length } as const,
  ];
  return { kernel: "scale_f32", grid: grid(length), threads: 256, args };
}
