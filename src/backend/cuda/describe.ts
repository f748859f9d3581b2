// What `doctor` says about the GPU: what was found where, or the one reason why nothing can be used.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { formatBytes } from "../../util/format.ts";
import { type DeviceDescription, LEAST_CAPABILITY, openDriver } from "./driver/driver.ts";
import { openLibrary } from "./driver/locate.ts";
import { cudaVersion, ptxVersion } from "./driver/modules.ts";
import { openNvml } from "./driver/nvml.ts";
import { chooseGemm } from "./gemm/choice.ts";
import { ptxFolder } from "./kernel-files.ts";
import { type CudaFound, probeNow, seemsWithoutDriver } from "./probe.ts";

export interface CudaFinding {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly remedy?: string | undefined;
}

/** Never throws. One finding where there is no GPU to use. */
export function describeCuda(): CudaFinding[] {
  if (seemsWithoutDriver()) {
    return [{ what: "cuda device", ok: true, detail: "none: no NVIDIA driver is running on this machine" }];
  }
  const probe = probeNow();
  if (!probe.available) return [{ what: "cuda device", ok: false, detail: probe.reason, remedy: probe.hint }];
  return [gpus(probe), kernels(), products(probe), management(probe.device)];
}

function gpus({ driverFile, driverVersion }: CudaFound): CudaFinding {
  const devices = openDriver().devices().map(describeDevice).join("; ");
  return {
    what: "cuda device",
    ok: true,
    detail: `${devices}; driver for CUDA ${cudaVersion(driverVersion)}, ${driverFile}`,
  };
}

function describeDevice({ ordinal, name, capability, multiprocessors, memoryBytes }: DeviceDescription): string {
  const version = `compute capability ${Math.floor(capability / 10)}.${capability % 10}`;
  const usable = capability >= LEAST_CAPABILITY ? "" : ", too old";
  return `${ordinal}: ${name} (${version}${usable}, ${multiprocessors} multiprocessors, ${formatBytes(memoryBytes)})`;
}

function kernels(): CudaFinding {
  const files = existsSync(ptxFolder()) ? readdirSync(ptxFolder()).filter((name) => name.endsWith(".ptx")) : [];
  if (files.length === 0) {
    const remedy = "build it with nvcc by `npx tsx scripts/build-ptx.ts`, or install the npm package";
    return { what: "cuda kernels", ok: false, detail: "there is no PTX in the package", remedy };
  }
  const versions = new Set(files.map((name) => ptxVersion(readFileSync(path.join(ptxFolder(), name), "utf8")) ?? 0));
  const newest = Math.max(...versions);
  return {
    what: "cuda kernels",
    ok: true,
    detail: `PTX ${Math.floor(newest / 10)}.${newest % 10}, ${files.length} files`,
  };
}

function products({ device, cublasLt, noCublasLt }: CudaFound): CudaFinding {
  const choice = chooseGemm(device.capability, cublasLt !== undefined);
  const found = cublasLt ? `cuBLASLt ${cublasLt.version}, ${cublasLt.file}` : `cuBLASLt not found (${noCublasLt})`;
  const nvrtc = openLibrary("nvrtc");
  const compiler = nvrtc.library ? `; NVRTC ${nvrtc.file}` : "";
  return { what: "matrix products", ok: true, detail: `${choice}; ${found}${compiler}` };
}

function management(device: DeviceDescription): CudaFinding {
  const nvml = openNvml(device.busId);
  if ("reason" in nvml) return { what: "NVML", ok: true, detail: `not found (${nvml.reason}): energy is not recorded` };
  const energy = nvml.energyJoules() === undefined ? "no energy counter" : "energy counter";
  const power = nvml.powerWatts();
  nvml.close();
  const watts = power === undefined ? "" : `, ${Math.round(power)} W now`;
  return { what: "NVML", ok: true, detail: `driver ${nvml.driverVersion}, ${energy}${watts}, ${nvml.file}` };
}
