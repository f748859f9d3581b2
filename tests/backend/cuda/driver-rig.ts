// The driver under test as tests of the driver layer use it: the very code that talks to libcuda, and the simulator's own controls.

import { readFileSync } from "node:fs";
import path from "node:path";
import { CudaDevice, type DeviceOptions } from "../../../src/backend/cuda/device.ts";
import { HostBlock, type NativeFunction, NativeLibrary } from "../../../src/backend/cuda/driver/api.ts";
import { chooseDevice, type Driver, openDriver } from "../../../src/backend/cuda/driver/driver.ts";
import type { ModuleSource } from "../../../src/backend/cuda/driver/modules.ts";
import { ptxFolder } from "../../../src/backend/cuda/kernel-files.ts";
import type { Launch } from "../../../src/backend/cuda/launcher.ts";
import { driverUnderTest } from "./driver-under-test.ts";

export { controlsUnavailable, driverUnavailable, isSimulated } from "./driver-under-test.ts";

/** The kernels that the tests launch by hand. */
export const ELEMENTWISE: ModuleSource = {
  name: "elementwise.ptx",
  ptx: readFileSync(path.join(ptxFolder(), "elementwise.ptx"), "utf8"),
};

export class DriverRig {
  private readonly controls = new Map<string, NativeFunction>();
  private readonly text = new HostBlock(256);

  private constructor(readonly library: string) {
    const simulator = new NativeLibrary(library);
    for (const [name, types] of [
      ["cudasimReset", ""],
      ["cudasimSetDeferred", "i"],
      ["cudasimSetMemory", "p"],
      ["cudasimSetDevice", "iii"],
      ["cudasimInjectFailure", "pui"],
      ["cudasimCallCount", "p"],
      ["cudasimSetSchedule", "iiu"],
      ["cuMemsetD8Async", "pbpp"],
      ["cuCtxSynchronize", ""],
    ] as const) {
      const bound = simulator.bind(name, types);
      if (bound) this.controls.set(name, bound);
    }
  }

  /** Makes the driver under test that of this process. A simulator that is built for it has these kernel files. */
  static async create(kernels?: readonly string[]): Promise<DriverRig> {
    const library = await driverUnderTest(kernels ? { kernels } : {});
    process.env["STLM_CUDA_LIBRARY"] = library;
    for (const variable of ["STLM_CUBLASLT_LIBRARY", "STLM_NVML_LIBRARY"]) process.env[variable] = "none";
    return new DriverRig(library);
  }

  /** Everything as when the simulator was loaded; nothing on a GPU. */
  reset(): void {
    this.controls.get("cudasimReset")?.();
  }

  /** Queued work runs when something waits for it, as late as the API allows; on a GPU, as it likes. */
  defer(): void {
    this.controls.get("cudasimSetDeferred")?.(1);
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

  /** Calls of one function of the driver, or of all, since the last reset. */
  count(call = ""): number {
    return Number(this.controls.get("cudasimCallCount")!(this.address(call)));
  }

  /** In which order threads run: 0 ascending, 1 descending, 2 random; on a GPU, in any. */
  setSchedule(schedule: number, asyncCopies = 0, seed = 1): void {
    this.controls.get("cudasimSetSchedule")?.(schedule, asyncCopies, seed);
  }

  /** Fills memory of the device with a byte when all that is queued is done, and waits. */
  fill(address: bigint, bytes: number, value: number): void {
    const synchronize = this.controls.get("cuCtxSynchronize")!;
    const fill = this.controls.get("cuMemsetD8Async")!;
    const results = [synchronize(), fill(address, value, bytes, 0n), synchronize()];
    if (results.some((status) => status !== 0)) throw new Error(`a fill of the device's memory returned ${results}`);
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
