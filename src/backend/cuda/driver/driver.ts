// The CUDA driver as an object: its functions, checked, and the devices it knows. One per process.

import type { Launch } from "../launcher.ts";
import {
  DRIVER_SIGNATURES,
  type DriverFunction,
  GRAPH_FUNCTIONS,
  HostBlock,
  type NativeFunction,
  type NativeLibrary,
  type NativeNumber,
  textAt,
} from "./api.ts";
import { CUDA, type CudaError, isSticky, noCudaDevice, PTX_COMPILER, refusal } from "./errors.ts";
import { LIBRARIES, openBeside, openLibrary } from "./locate.ts";

/** Kernels use bf16 matrix instructions and asynchronous copies, which came with compute capability 8.0 (Ampere). */
export const LEAST_CAPABILITY = 80;

/** Numbers of CUdevice_attribute (cuda.h). */
const ATTRIBUTE = {
  multiprocessors: 16,
  capabilityMajor: 75,
  capabilityMinor: 76,
  sharedBytesOptIn: 97,
} as const;

export interface DeviceDescription {
  readonly ordinal: number;
  /** `NVIDIA H200`. */
  readonly name: string;
  /** 90 for compute capability 9.0. */
  readonly capability: number;
  readonly multiprocessors: number;
  readonly memoryBytes: number;
  /** Dynamic shared memory that a block may ask for. */
  readonly sharedBytes: number;
  /** `0000:1b:00.0`, which is how NVML knows the same GPU; empty where the driver does not tell. */
  readonly busId: string;
}

const RECENT_KERNELS = 4;

type KernelNote = Pick<Launch, "kernel" | "grid" | "threads">;

export class Driver {
  /** Results that functions write through a pointer. */
  readonly out: HostBlock;
  private readonly functions: Partial<Record<DriverFunction, NativeFunction>>;
  private readonly recentKernels: KernelNote[] = [];
  private fault: CudaError | undefined;

  constructor(
    library: NativeLibrary,
    /** The file it was loaded from. */
    readonly file: string,
    /** The driver's compiler for PTX, if it lies beside that file: kept so that it stays loaded. */
    readonly compiler?: NativeLibrary | undefined,
  ) {
    this.out = new HostBlock(4096);
    this.functions = Object.fromEntries(
      Object.entries(DRIVER_SIGNATURES).map(([name, types]) => [name, library.bind(name, types)]),
    );
    const optional: readonly string[] = [...GRAPH_FUNCTIONS, "cuDeviceGetPCIBusId"];
    const missing = Object.keys(DRIVER_SIGNATURES).filter(
      (name) => !optional.includes(name) && !this.has(name as DriverFunction),
    );
    if (missing.length > 0) {
      throw noCudaDevice(
        `${file} lacks ${missing.slice(0, 3).join(", ")}`,
        "It is no CUDA driver, or one that is too old: install NVIDIA driver 520 or newer.",
      );
    }
  }

  has(name: DriverFunction): boolean {
    return this.functions[name] !== undefined;
  }

  get hasGraphs(): boolean {
    return GRAPH_FUNCTIONS.every((name) => this.has(name));
  }

  /** Calls and returns the CUresult. */
  status(name: DriverFunction, ...args: NativeNumber[]): number {
    return this.functions[name]!(...args);
  }

  /** Calls; throws a CudaError for anything but success. After a kernel's fault every call throws that fault again. */
  call(name: DriverFunction, ...args: NativeNumber[]): void {
    if (this.fault) throw this.fault;
    const status = this.functions[name]!(...args);
    if (status !== CUDA.success) throw this.errorOf(status, name);
  }

  /** Calls a function whose first argument is where a handle or a size is written, and returns that. */
  make(name: DriverFunction, ...args: NativeNumber[]): bigint {
    this.call(name, this.out.address, ...args);
    return this.out.view.getBigUint64(0, true);
  }

  /** The same for a result of 32 bits. */
  number(name: DriverFunction, ...args: NativeNumber[]): number {
    this.call(name, this.out.address, ...args);
    return this.out.view.getInt32(0, true);
  }

  /** Remembered for the message of a fault, which surfaces in a later call. */
  noteKernel(note: KernelNote): void {
    this.recentKernels.push(note);
    if (this.recentKernels.length > RECENT_KERNELS) this.recentKernels.shift();
  }

  /** Whether a kernel failed: nothing on the device can be used, or given back, any more. */
  get faulted(): boolean {
    return this.fault !== undefined;
  }

  errorOf(status: number, call: string): CudaError {
    const recentKernels = this.recentKernels
      .toReversed()
      .map(({ kernel, grid, threads }) => `${kernel} (grid ${grid.join(" x ")}, ${threads} threads)`);
    const error = refusal({ status, call, ...this.nameOf(status), recentKernels });
    if (isSticky(status)) this.fault = error;
    return error;
  }

  nameOf(status: number): { name: string; text: string } {
    const read = (name: "cuGetErrorName" | "cuGetErrorString") => {
      const known = this.status(name, status, this.out.address) === CUDA.success;
      return known ? textAt(this.out.view.getBigUint64(0, true)) : "";
    };
    return { name: read("cuGetErrorName") || `CUresult ${status}`, text: read("cuGetErrorString") };
  }

  /** 12080 for a driver that supports CUDA 12.8. */
  get version(): number {
    return this.number("cuDriverGetVersion");
  }

  devices(): DeviceDescription[] {
    const count = this.number("cuDeviceGetCount");
    return Array.from({ length: count }, (_, ordinal) => this.device(ordinal));
  }

  private device(ordinal: number): DeviceDescription {
    const device = this.number("cuDeviceGet", ordinal);
    const attribute = (code: number) => this.number("cuDeviceGetAttribute", code, device);
    this.call("cuDeviceGetName", this.out.address, 256, device);
    const name = this.out.text();
    const named =
      this.has("cuDeviceGetPCIBusId") && this.status("cuDeviceGetPCIBusId", this.out.address, 64, device) === 0;
    return {
      ordinal,
      name,
      busId: named ? this.out.text() : "",
      capability: attribute(ATTRIBUTE.capabilityMajor) * 10 + attribute(ATTRIBUTE.capabilityMinor),
      multiprocessors: attribute(ATTRIBUTE.multiprocessors),
      sharedBytes: attribute(ATTRIBUTE.sharedBytesOptIn),
      memoryBytes: Number(this.make("cuDeviceTotalMem_v2", device)),
    };
  }
}

/**
 * Loads libcuda and initialises it. Throws a UserError NO_CUDA_DEVICE with the one reason why it cannot: no library, one that
 * cannot be loaded, no GPU, or a kernel module that does not fit.
 */
export function openDriver(): Driver {
  const opened = openLibrary("cuda");
  if (!opened.library) {
    throw noCudaDevice(`the NVIDIA driver's library was not found (${opened.reason})`, absentDriverHint());
  }
  const driver = new Driver(opened.library, opened.file, openBeside(opened.file, PTX_COMPILER));
  const status = driver.status("cuInit", 0);
  if (status === CUDA.noDevice) throw noCudaDevice(`the driver (${opened.file}) finds no GPU`);
  if (status !== CUDA.success) {
    const { name, text } = driver.nameOf(status);
    throw noCudaDevice(
      `the driver (${opened.file}) does not start: ${name}${text ? `, ${text}` : ""}`,
      "If the driver was updated, restart the machine; `nvidia-smi` should list the GPU. Or choose --device cpu.",
    );
  }
  return driver;
}

/** What to do where there is no driver, or the variable that names its library names none. */
export function absentDriverHint(): string {
  const { variable } = LIBRARIES.cuda;
  return process.env[variable]
    ? `Unset ${variable}, or name the driver's library in it; or choose --device cpu.`
    : `Install the NVIDIA driver, or name its library in ${variable}; or choose --device cpu.`;
}

/** Throws a UserError for a GPU whose kernels would not run. */
export function requireCapability({ name, capability }: DeviceDescription): void {
  if (capability >= LEAST_CAPABILITY) return;
  throw noCudaDevice(
    `${name} has compute capability ${Math.floor(capability / 10)}.${capability % 10}, and the kernels need 8.0 (Ampere, 2020) or newer`,
    "Choose --device cpu, or leave the choice to auto.",
  );
}

/** The device of this number in the driver's list, which CUDA_VISIBLE_DEVICES orders and shortens. */
export function chooseDevice(driver: Driver, ordinal = 0): DeviceDescription {
  const devices = driver.devices();
  const device = devices[ordinal];
  if (!device) throw noCudaDevice(`there is no GPU ${ordinal} among the ${devices.length} that the driver lists`);
  requireCapability(device);
  return device;
}
