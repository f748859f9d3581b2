// Kernels by name: PTX files of the package, compiled by the driver for the GPU when the first kernel of a file is asked for.

import { HostBlock } from "./api.ts";
import type { Driver } from "./driver.ts";
import { CUDA, type CudaError, moduleRefusal } from "./errors.ts";

/** CUjit_option: where the compiler writes what it has to say, and how many bytes it may. */
const JIT_ERROR_LOG = 5;
const JIT_ERROR_LOG_BYTES = 6;
const LOG_BYTES = 8192;
/** CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES; more than 48 KB must be asked for. */
const MAX_DYNAMIC_SHARED = 8;
const SHARED_WITHOUT_ASKING = 48 * 1024;
/** A module that takes longer is being compiled; one that the driver has in its cache takes a few milliseconds. */
const COMPILING_MS = 150;

/** One module: the text of a PTX file, and its name for messages. */
export interface ModuleSource {
  readonly name: string;
  readonly ptx: string;
}

interface KernelFunction {
  readonly handle: bigint;
  /** Dynamic shared memory that was asked for so far. */
  sharedBytes: number;
}

/** `.version 7.8` of a PTX text, as 78. */
export function ptxVersion(ptx: string): number | undefined {
  const found = /^\.version\s+(\d+)\.(\d+)/m.exec(ptx);
  return found ? Number(found[1]) * 10 + Number(found[2]) : undefined;
}

/** `12.8` of 12080, as cuDriverGetVersion counts. */
export function cudaVersion(version: number): string {
  return `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
}

export class KernelTable {
  private readonly sourceOf = new Map<string, ModuleSource>();
  private readonly modules = new Map<ModuleSource, bigint>();
  private readonly functions = new Map<string, KernelFunction>();
  /** Host memory that the driver reads while a module loads, kept from the garbage collector. */
  private readonly held: HostBlock[] = [];
  private isCompiling = false;

  constructor(
    private readonly driver: Driver,
    sources: readonly ModuleSource[],
    /** Called once, after the first file that the driver had to compile: others will follow. */
    private readonly onCompiling: (file: string) => void = () => undefined,
  ) {
    for (const source of sources) {
      for (const [, kernel] of source.ptx.matchAll(/\.entry\s+([\w$]+)/g)) this.sourceOf.set(kernel!, source);
    }
  }

  get names(): readonly string[] {
    return [...this.sourceOf.keys()].sort();
  }

  /** The handle for cuLaunchKernel. Throws a UserError where the driver cannot compile the module. */
  find(name: string, sharedBytes = 0): bigint {
    let kernel = this.functions.get(name);
    if (!kernel) {
      kernel = { handle: this.load(name), sharedBytes: SHARED_WITHOUT_ASKING };
      this.functions.set(name, kernel);
    }
    if (sharedBytes > kernel.sharedBytes) {
      this.driver.call("cuFuncSetAttribute", kernel.handle, MAX_DYNAMIC_SHARED, sharedBytes);
      kernel.sharedBytes = sharedBytes;
    }
    return kernel.handle;
  }

  private load(name: string): bigint {
    const source = this.sourceOf.get(name);
    if (!source) throw new Error(`no module of the package has a kernel ${name}`);
    let module = this.modules.get(source);
    if (module === undefined) {
      module = this.compile(source);
      this.modules.set(source, module);
    }
    const { driver } = this;
    const status = driver.status("cuModuleGetFunction", driver.out.address, module, this.hold(hostText(name)).address);
    this.held.length = 0;
    if (status !== CUDA.success) throw driver.errorOf(status, `cuModuleGetFunction of ${name} in ${source.name}`);
    return driver.out.view.getBigUint64(0, true);
  }

  private compile({ name, ptx }: ModuleSource): bigint {
    const { driver } = this;
    const log = this.hold(new HostBlock(LOG_BYTES));
    const options = this.hold(new HostBlock(64));
    const values = this.hold(new HostBlock(64));
    options.view.setInt32(0, JIT_ERROR_LOG, true);
    options.view.setInt32(4, JIT_ERROR_LOG_BYTES, true);
    values.view.setBigUint64(0, log.address, true);
    values.view.setBigUint64(8, BigInt(LOG_BYTES), true);
    const image = this.hold(hostText(ptx)).address;
    const began = performance.now();
    const status = driver.status("cuModuleLoadDataEx", driver.out.address, image, 2, options.address, values.address);
    if (status === CUDA.success) {
      if (performance.now() - began > COMPILING_MS && !this.isCompiling) {
        this.isCompiling = true;
        this.onCompiling(name);
      }
      return driver.out.view.getBigUint64(0, true);
    }
    throw this.refused(status, { name, ptx }, log.text().trim()) ?? driver.errorOf(status, "cuModuleLoadDataEx");
  }

  private refused(status: number, { name, ptx }: ModuleSource, log: string): CudaError | undefined {
    const { driver } = this;
    const { name: code, text } = driver.nameOf(status);
    const version = ptxVersion(ptx);
    const what = `${code}${text ? `, ${text}` : ""}`;
    return moduleRefusal({
      status,
      message: `The NVIDIA driver (CUDA ${cudaVersion(driver.version)}) cannot compile ${name} for this GPU: ${what}.${log ? `\n${log}` : ""}`,
      kernels: version === undefined ? "PTX" : `PTX ${Math.floor(version / 10)}.${version % 10}`,
      driverFile: driver.file,
    });
  }

  private hold(block: HostBlock): HostBlock {
    this.held.push(block);
    return block;
  }

  close(): void {
    for (const module of this.modules.values()) this.driver.status("cuModuleUnload", module);
    this.modules.clear();
    this.functions.clear();
  }
}

/** A zero-terminated text at a fixed address. */
function hostText(text: string): HostBlock {
  const bytes = new TextEncoder().encode(text);
  const block = new HostBlock(bytes.length + 1);
  new Uint8Array(block.view.buffer).set(bytes);
  return block;
}
