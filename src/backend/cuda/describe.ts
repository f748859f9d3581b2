// What `doctor` says about the GPU: what was found where, or the one reason why nothing can be used.

import { isUserError } from "../../util/errors.ts";
import { formatBytes } from "../../util/format.ts";
import { type DeviceDescription, LEAST_CAPABILITY, openDriver } from "./driver/driver.ts";
import { openLibrary } from "./driver/locate.ts";
import { cudaVersion, ptxVersion } from "./driver/modules.ts";
import { openNvml } from "./driver/nvml.ts";
import { chooseGemm } from "./gemm/choice.ts";
import { createCudaBackend } from "./index.ts";
import { type CudaFound, probeNow, seemsWithoutDriver } from "./probe.ts";
import { shippedModules } from "./shipped.ts";

export interface CudaFinding {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly remedy?: string | undefined;
}

/** Never throws. One finding where there is no GPU to use. */
export async function describeCuda(): Promise<CudaFinding[]> {
  if (seemsWithoutDriver()) {
    return [{ what: "cuda device", ok: true, detail: "none: no NVIDIA driver is running on this machine" }];
  }
  const probe = probeNow();
  if (!probe.available) return [{ what: "cuda device", ok: false, detail: probe.reason, remedy: probe.hint }];
  return [
    gpus(probe),
    await tried("cuda kernels", kernels),
    await tried("matrix products", () => products(probe)),
    management(probe.device),
  ];
}

/** The detail that `look` comes to, or what keeps a run from starting. */
async function tried(what: string, look: () => Promise<string>): Promise<CudaFinding> {
  try {
    return { what, ok: true, detail: await look() };
  } catch (error) {
    if (!isUserError(error)) throw error;
    // What the driver's compiler says would fill the screen.
    return { what, ok: false, detail: error.message.split("\n")[0]!, remedy: error.hint?.replaceAll("\n", " ") };
  }
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

/** Tried with a small one, of a file that is compiled at once. */
async function kernels(): Promise<string> {
  const modules = shippedModules();
  const backend = await createCudaBackend({ gemm: "own", modules });
  try {
    const x = backend.allocate("f32", 1);
    backend.kernels.scale({ y: x, x, factor: 2, length: 1 });
    backend.read(x);
  } finally {
    backend.close();
  }
  const newest = Math.max(...modules.map(({ ptx }) => ptxVersion(ptx) ?? 0));
  return `PTX ${Math.floor(newest / 10)}.${newest % 10}, ${modules.length} files`;
}

/** Tried by opening what a run would: a library that is found may still not start. */
async function products({ device, cublasLt, noCublasLt }: CudaFound): Promise<string> {
  const choice = chooseGemm(device.capability, () => cublasLt !== undefined);
  (await createCudaBackend()).close();
  const found = cublasLt ? `cuBLASLt ${cublasLt.version}, ${cublasLt.file}` : `cuBLASLt not found (${noCublasLt})`;
  const nvrtc = openLibrary("nvrtc");
  const compiler = nvrtc.library ? `; NVRTC ${nvrtc.file}` : "";
  return `${choice}; ${found}${compiler}`;
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
