// Devices by name: which one a machine offers, and how to open it.

import { UserError } from "../util/errors.ts";
import type { Backend, Precision } from "./backend.ts";
import { cpuClass, cpuSeemsAvailable, createCpuBackend, HOW_TO_GET_A_COMPILER } from "./cpu/index.ts";
import { cudaDeterminismClass, cudaSeemsAvailable } from "./cuda/class.ts";
import { createReferenceBackend } from "./reference/index.ts";

export type { Backend, DeviceBuffer, DeviceInfo, DType, Precision } from "./backend.ts";
export { describeCpu } from "./cpu/index.ts";
export type { Kernels } from "./kernels.ts";

export const DEVICE_NAMES = ["auto", "reference", "cpu", "cuda"] as const;
export type DeviceName = (typeof DEVICE_NAMES)[number];

export interface OpenBackendOptions {
  /** Default: the device's own, bf16 on cuda and f32 elsewhere. */
  readonly precision?: Precision | undefined;
  readonly threads?: number | undefined;
  /** Gets the one sentence that says why a slower device was taken. Default: standard error. */
  readonly warn?: ((message: string) => void) | undefined;
  /** Gets what the wait is for where opening or first use takes long. Default: standard error. */
  readonly inform?: ((message: string) => void) | undefined;
}

/**
 * Open a device. `auto` takes the cuda device for bf16 where there is one, else the cpu device, or, with one warning, the reference
 * where that cannot be started. Throws a UserError where a device was named that is not there, or that lacks the precision.
 */
export async function openBackend(device: DeviceName, options: OpenBackendOptions = {}): Promise<Backend> {
  const say = (message: string) => console.error(message);
  const { threads, precision, warn = say, inform = say } = options;
  switch (device) {
    case "reference":
      if (precision === "bf16") throw onlyF32();
      return createReferenceBackend();
    case "cuda":
      if (precision === "f32") throw onlyBf16();
      return openCuda(inform);
    case "cpu":
      return createCpuBackend({ threads, precision });
    case "auto":
      if (resolveDevice(device, precision) === "cuda") return openCuda(inform);
      try {
        return await createCpuBackend({ threads, precision });
      } catch (error) {
        if (!(error instanceof UserError) || error.code !== "NO_CPU_DEVICE" || precision === "bf16") throw error;
        const instead = "The reference device takes its place and is some hundred times slower.";
        warn(`${error.message}\n${instead} ${HOW_TO_GET_A_COMPILER} and run the same command again.`);
        return createReferenceBackend();
      }
  }
}

/** Loaded when it is opened: planning starts faster without it. */
async function openCuda(inform: (message: string) => void): Promise<Backend> {
  const { createCudaBackend } = await import("./cuda/index.ts");
  return createCudaBackend({ inform });
}

/** The device that `auto` means on this machine for a precision, found without starting or compiling anything. */
export function resolveDevice(device: DeviceName, precision?: Precision): Exclude<DeviceName, "auto"> {
  if (device !== "auto") return device;
  if (precision === "bf16" && cudaSeemsAvailable()) return "cuda";
  return cpuSeemsAvailable() ? "cpu" : "reference";
}

/**
 * The class within which a device's results are bit for bit equal: what enters a stage key. `auto` is resolved.
 * Throws a UserError for `cuda` where there is no usable GPU.
 */
export function deviceClassOf(device: DeviceName, precision?: Precision): string {
  const resolved = resolveDevice(device, precision);
  if (resolved === "cuda") return cudaDeterminismClass();
  return resolved === "cpu" ? cpuClass(precision ?? "f32") : "reference";
}

function onlyF32(): UserError {
  return new UserError("The reference device computes in f32 only, and this run asks for bf16.", {
    code: "PRECISION",
    hint: "Set precision: f32 in the parameters of training, or choose --device cpu.",
  });
}

function onlyBf16(): UserError {
  return new UserError("The cuda device computes in bf16 only, and this run asks for f32.", {
    code: "PRECISION",
    hint: "Set precision: bf16 in the parameters of training, or choose --device cpu.",
  });
}
