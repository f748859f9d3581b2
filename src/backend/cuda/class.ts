// The class within which the cuda device's results are bit for bit equal, and what decides it: planning needs these, and not the
// device itself.

import { UserError } from "../../util/errors.ts";
import type { DeviceDescription } from "./driver/driver.ts";
import { chooseGemm, type GemmChoice } from "./gemm/choice.ts";
import { GemmTable, type TableIdentity } from "./gemm/table.ts";
import { probeCuda } from "./probe.ts";
import { kernelDigest, shippedModules } from "./shipped.ts";

/**
 * The class within which results are bit for bit equal: the architecture for which the driver compiles, the number of
 * multiprocessors and who computes matrix products, for these decide in which order sums are taken.
 */
export function cudaDeterminismClass(): string {
  const probe = probeCuda();
  if (!probe.available) throw new UserError(probe.reason, { code: "NO_CUDA_DEVICE", hint: probe.hint });
  const { device, cublasLt, driverVersion } = probe;
  const choice = chooseGemm(device.capability, () => cublasLt !== undefined);
  const table =
    choice === "tuned"
      ? openTable(device, driverVersion, cublasLt?.version, kernelDigest(shippedModules()))
      : undefined;
  return classOf(device, choice, cublasLt?.version, table);
}

export function classOf(
  device: DeviceDescription,
  choice: GemmChoice,
  cublasLt: string | undefined,
  table?: GemmTable,
): string {
  const provider = { own: "own", cublaslt: `cublaslt-${cublasLt}`, tuned: `tuned-${table?.id}` }[choice];
  return `cuda-bf16-sm_${device.capability}x${device.multiprocessors}-${provider}`;
}

/** Whether `auto` can take the device for a bf16 run. */
export function cudaSeemsAvailable(): boolean {
  return probeCuda().available;
}

export function openTable(
  device: DeviceDescription,
  driverVersion: number,
  cublasLt: string | undefined,
  kernels: string,
): GemmTable {
  const identity: TableIdentity = {
    gpu: `${device.name} sm_${device.capability}`,
    driverVersion,
    cublasLt: cublasLt ?? null,
    kernels,
  };
  return GemmTable.open(identity);
}
