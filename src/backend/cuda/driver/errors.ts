// CUresult codes as messages: what the driver refused, in the user's words, and what to do next.

import { UserError } from "../../../util/errors.ts";

/** Codes of CUresult that the device acts on (cuda.h). */
export const CUDA = {
  success: 0,
  outOfMemory: 2,
  noDevice: 100,
  invalidImage: 200,
  noBinaryForGpu: 209,
  invalidPtx: 218,
  noPtxCompiler: 221,
  unsupportedPtxVersion: 222,
  notReady: 600,
  notSupported: 801,
} as const;

/** What libcuda opens by this name to compile PTX. */
export const PTX_COMPILER = "libnvidia-ptxjitcompiler.so.1";

/** After these the context refuses everything: a kernel read or wrote where it must not, or the GPU itself failed. */
const STICKY = new Set([
  214, // CUDA_ERROR_ECC_UNCORRECTABLE
  220, // CUDA_ERROR_NVLINK_UNCORRECTABLE
  226, // CUDA_ERROR_CONTAINED
  700, // CUDA_ERROR_ILLEGAL_ADDRESS
  702, // CUDA_ERROR_LAUNCH_TIMEOUT
  709, // CUDA_ERROR_CONTEXT_IS_DESTROYED
  710, // CUDA_ERROR_ASSERT
  714, // CUDA_ERROR_HARDWARE_STACK_ERROR
  715, // CUDA_ERROR_ILLEGAL_INSTRUCTION
  716, // CUDA_ERROR_MISALIGNED_ADDRESS
  717, // CUDA_ERROR_INVALID_ADDRESS_SPACE
  718, // CUDA_ERROR_INVALID_PC
  719, // CUDA_ERROR_LAUNCH_FAILED
  721, // CUDA_ERROR_TENSOR_MEMORY_LEAK
]);

export function isSticky(status: number): boolean {
  return STICKY.has(status);
}

const NO_DEVICE_HINT =
  "Choose --device cpu, or leave the choice to auto. `stlm-pipeline doctor` says what was looked for.";

/** No usable device: `reason` is a clause or a sentence without a full stop. */
export function noCudaDevice(reason: string, hint: string = NO_DEVICE_HINT, cause?: unknown): UserError {
  return new UserError(`The cuda device cannot be used: ${reason}.`, { code: "NO_CUDA_DEVICE", hint, cause });
}

/** A call that the driver refused. `status` is its CUresult. */
export class CudaError extends UserError {
  constructor(
    readonly status: number,
    message: string,
    options: { code: string; hint?: string | undefined },
  ) {
    super(message, { ...options, exitCode: 1 });
  }
}

export interface Refusal {
  readonly status: number;
  /** `CUDA_ERROR_ILLEGAL_ADDRESS`. */
  readonly name: string;
  /** `an illegal memory access was encountered`. */
  readonly text: string;
  /** The function that reported it; for a fault of a kernel any call after it may be the one. */
  readonly call: string;
  /** The kernels that were queued last, the newest first. */
  readonly recentKernels?: readonly string[];
}

export function refusal({ status, name, text, call, recentKernels = [] }: Refusal): CudaError {
  const what = text === "" ? name : `${name}, ${text}`;
  if (isSticky(status)) {
    const queued = recentKernels.length > 0 ? ` Queued last, newest first: ${recentKernels.join(", ")}.` : "";
    return new CudaError(status, `The GPU stopped in the middle of its work: ${what} (seen by ${call}).${queued}`, {
      code: "CUDA_KERNEL_FAULT",
      hint: "Run the same command again: training goes on from its last checkpoint. If it stops again at the same place, run it with\nSTLM_CUDA_CHECK=1, which waits after every kernel and so names the one that fails, and report that.",
    });
  }
  return new CudaError(status, `The CUDA driver refused ${call}: ${what}.`, {
    code: status === CUDA.outOfMemory ? "OUT_OF_MEMORY" : "CUDA_ERROR",
    hint:
      status === CUDA.outOfMemory
        ? "Choose a smaller micro-batch, or free the GPU of other programs (nvidia-smi lists them)."
        : "`stlm-pipeline doctor` says which driver and GPU are used; a newer driver may help.",
  });
}

export interface RefusedModule {
  readonly status: number;
  /** What the driver says, with the name of its error. */
  readonly message: string;
  /** `PTX 7.8`. */
  readonly kernels: string;
  /** libcuda's file. */
  readonly driverFile: string;
}

/** The driver did not take a module for a reason of the module's or of its compiler's; undefined for any other status. */
export function moduleRefusal({ status, message, kernels, driverFile }: RefusedModule): CudaError | undefined {
  switch (status) {
    case CUDA.unsupportedPtxVersion:
      return new CudaError(status, message, {
        code: "CUDA_DRIVER_TOO_OLD",
        hint: `The kernels are ${kernels} for compute capability 8.0: install NVIDIA driver 520 (CUDA 11.8) or newer.`,
      });
    case CUDA.noPtxCompiler:
      return new CudaError(status, message, {
        code: "NO_PTX_COMPILER",
        hint: `${PTX_COMPILER}, a part of the NVIDIA driver, was not found. It belongs beside ${driverFile}: add the folder where it lies\nto LD_LIBRARY_PATH, or install the whole driver (in a container: NVIDIA_DRIVER_CAPABILITIES=compute,utility).`,
      });
    case CUDA.invalidImage:
    case CUDA.noBinaryForGpu:
    case CUDA.invalidPtx:
      return new CudaError(status, message, {
        code: "CUDA_KERNELS_REFUSED",
        hint: "The file may be damaged: install the package anew. If that does not help, report this with what `stlm-pipeline doctor` prints.",
      });
    default:
      return undefined;
  }
}
