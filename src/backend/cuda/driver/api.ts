// The functions of the CUDA driver API that the device calls, bound through koffi (CUDA Driver API reference, sections
// 6.2 to 6.33). Every pointer and handle is passed as a 64-bit integer: a call then costs some tens of nanoseconds.

import { createRequire } from "node:module";
import path from "node:path";
import { packageRoot } from "../../../util/package-root.ts";

/** A handle, an address in device or host memory, a size, or a small integer. */
export type NativeNumber = number | bigint;

/**
 * Types of the arguments in their order: `p` pointer, handle or size (64 bits), `i` int, `u` unsigned int, `b` unsigned char.
 * All return a CUresult. Names carry the version suffix under which the library exports them.
 */
export const DRIVER_SIGNATURES = {
  cuInit: "u",
  cuDriverGetVersion: "p",
  cuGetErrorName: "ip",
  cuGetErrorString: "ip",
  cuDeviceGetCount: "p",
  cuDeviceGet: "pi",
  cuDeviceGetName: "pii",
  cuDeviceGetAttribute: "pii",
  cuDeviceGetPCIBusId: "pii",
  cuDeviceTotalMem_v2: "pi",
  cuDevicePrimaryCtxRetain: "pi",
  cuDevicePrimaryCtxRelease_v2: "i",
  cuCtxSetCurrent: "p",
  cuMemGetInfo_v2: "pp",
  cuMemAlloc_v2: "pp",
  cuMemFree_v2: "p",
  cuMemHostAlloc: "ppu",
  cuMemFreeHost: "p",
  cuMemcpyHtoDAsync_v2: "pppp",
  cuMemcpyDtoHAsync_v2: "pppp",
  cuMemsetD8Async: "pbpp",
  cuStreamCreate: "pu",
  cuStreamDestroy_v2: "p",
  cuStreamSynchronize: "p",
  cuEventCreate: "pu",
  cuEventDestroy_v2: "p",
  cuEventRecord: "pp",
  cuEventQuery: "p",
  cuEventSynchronize: "p",
  cuEventElapsedTime: "ppp",
  cuModuleLoadDataEx: "ppupp",
  cuModuleUnload: "p",
  cuModuleGetFunction: "ppp",
  cuFuncSetAttribute: "pii",
  cuLaunchKernel: "puuuuuuuppp",
  cuStreamBeginCapture_v2: "pi",
  cuStreamEndCapture: "pp",
  cuGraphInstantiateWithFlags: "ppp",
  cuGraphLaunch: "pp",
  cuGraphExecDestroy: "p",
  cuGraphDestroy: "p",
} as const;

export type DriverFunction = keyof typeof DRIVER_SIGNATURES;

/** Without these, which drivers before CUDA 11.4 lack, work is issued call by call instead of as a graph. */
export const GRAPH_FUNCTIONS = [
  "cuStreamBeginCapture_v2",
  "cuStreamEndCapture",
  "cuGraphInstantiateWithFlags",
  "cuGraphLaunch",
  "cuGraphExecDestroy",
  "cuGraphDestroy",
] as const satisfies readonly DriverFunction[];

const TYPES: Readonly<Record<string, string>> = { p: "uint64", i: "int", u: "unsigned int", b: "uint8", l: "int64" };

export type NativeFunction = (...args: NativeNumber[]) => number;

/** koffi, loaded when the first library is; synchronously, because planning asks for the device's class. */
export function koffi(): typeof import("koffi") {
  return createRequire(path.join(packageRoot(), "package.json"))("koffi");
}

/** A shared library, and its functions by name. Throws what the loader says where it cannot be loaded. */
export class NativeLibrary {
  private readonly handle: ReturnType<typeof import("koffi")["load"]>;

  constructor(readonly path: string) {
    this.handle = koffi().load(path);
  }

  /** The function, or undefined where the library does not export it. `result` and `types` as above. */
  bind(name: string, types: string, result: "i" | "p" = "i"): NativeFunction | undefined {
    try {
      const args = [...types].map((type) => TYPES[type]!);
      return this.handle.func(name, TYPES[result]!, args) as NativeFunction;
    } catch {
      return undefined;
    }
  }
}

/** Memory at a fixed address, for results that a function writes through a pointer and for blocks that it reads. */
export class HostBlock {
  readonly address: bigint;
  readonly view: DataView;

  /** Bytes beyond 64 lie outside V8's heap, where nothing moves them. */
  constructor(bytes: number) {
    const memory = new ArrayBuffer(Math.max(bytes, 256));
    this.view = new DataView(memory);
    this.address = koffi().address(memory);
  }

  /** The text up to the first zero byte. */
  text(offset = 0): string {
    const bytes = new Uint8Array(this.view.buffer, offset);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  }
}

/** A host address as memory that JavaScript can read and write; valid while the memory is. */
export function viewOf(address: bigint, bytes: number): ArrayBuffer {
  return koffi().view(address, bytes);
}

/** The C string at a host address. */
export function textAt(address: bigint): string {
  return address === 0n ? "" : String(koffi().decode(address, "char", -1));
}
