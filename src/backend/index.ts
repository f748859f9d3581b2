// Devices by name: which one a machine offers, and how to open it.

import { UserError } from "../util/errors.ts";
import type { Backend } from "./backend.ts";
import { CPU_DETERMINISM_CLASS, cpuSeemsAvailable, createCpuBackend } from "./cpu/index.ts";
import { createReferenceBackend } from "./reference/index.ts";

export type { Backend, DeviceBuffer, DeviceInfo, DType } from "./backend.ts";
export { describeCpu } from "./cpu/index.ts";
export type { Kernels } from "./kernels.ts";

export const DEVICE_NAMES = ["auto", "reference", "cpu", "cuda"] as const;
export type DeviceName = (typeof DEVICE_NAMES)[number];

export interface OpenBackendOptions {
  readonly threads?: number | undefined;
  /** Gets the one sentence that says why a slower device was taken. Default: standard error. */
  readonly warn?: ((message: string) => void) | undefined;
}

/**
 * Open a device. `auto` takes the cpu device, or, with one warning, the reference where that cannot be started.
 * Throws a UserError where a device was named that is not there.
 */
export async function openBackend(device: DeviceName, options: OpenBackendOptions = {}): Promise<Backend> {
  const { threads, warn = (message) => console.error(message) } = options;
  switch (device) {
    case "reference":
      return createReferenceBackend();
    case "cuda":
      throw noCuda();
    case "cpu":
      return createCpuBackend({ threads });
    case "auto":
      try {
        return await createCpuBackend({ threads });
      } catch (error) {
        if (!(error instanceof UserError) || error.code !== "NO_CPU_DEVICE") throw error;
        warn(`${error.message}\nThe reference device takes its place and is some hundred times slower. ${error.hint}`);
        return createReferenceBackend();
      }
  }
}

/** The device that `auto` means on this machine, found without starting or compiling anything. */
export function resolveDevice(device: DeviceName): Exclude<DeviceName, "auto"> {
  if (device !== "auto") return device;
  return cpuSeemsAvailable() ? "cpu" : "reference";
}

/**
 * The class within which a device's f32 results are bit for bit equal: what enters a stage key. `auto` is resolved.
 * Throws a UserError for `cuda`, which this version does not have.
 */
export function deviceClassOf(device: DeviceName): string {
  const resolved = resolveDevice(device);
  if (resolved === "cuda") throw noCuda();
  return resolved === "cpu" ? CPU_DETERMINISM_CLASS : "reference";
}

function noCuda(): UserError {
  return new UserError("The cuda device is not part of this version.", {
    code: "NO_CUDA_DEVICE",
    hint: "Choose --device cpu, or leave the choice to auto.",
  });
}
