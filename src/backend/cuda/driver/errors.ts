// CUresult codes as messages: what the driver refused, in the user's words, and what to do next.

import { UserError } from "../../../util/errors.ts";

/** Codes of CUresult that the device acts on (cuda.h). */
export const CUDA = {
  success: 0,
  outOfMemory: 2,
  noDevice: 100,
  notReady: 600,
  notSupported: 801,
} as const;

/** The image of a module does not fit the driver or the GPU. */
const UNUSABLE_IMAGE = new Set([
  200, // CUDA_ERROR_INVALID_IMAGE
  209, // CUDA_ERROR_NO_BINARY_FOR_GPU
  218, // CUDA_ERROR_INVALID_PTX
  221, // CUDA_ERROR_JIT_COMPILER_NOT_FOUND
  222, // CUDA_ERROR_UNSUPPORTED_PTX_VERSION
]);

/** After these the context refuses everything: a kernel read or wrote where it must not, or the GPU itself failed. */
const STICKY = new Set([
  214, // CUDA_ERROR_ECC_UNCORRECTABLE
  220, // CUDA_ERROR_NVLINK_UNCORRECTABLE
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
]);

export function isUnusableImage(status: number): boolean {
  return UNUSABLE_IMAGE.has(status);
}

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
