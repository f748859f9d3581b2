// The cuda device: an NVIDIA GPU through its driver alone. Matrix products in bf16 with f32 sums; parameters, their gradients,
// moments and statistics in f32. Results are the same bits from run to run within the determinism class.

import { UserError } from "../../util/errors.ts";
import { formatBytes } from "../../util/format.ts";
import type { Backend } from "../backend.ts";
import { classOf, openTable } from "./class.ts";
import { CudaDevice } from "./device.ts";
import { type CublasLt, findCublasLt, openCublasLt } from "./driver/cublaslt.ts";
import { chooseDevice, type Driver, openDriver } from "./driver/driver.ts";
import { cudaVersion, type ModuleSource } from "./driver/modules.ts";
import { openNvml } from "./driver/nvml.ts";
import { TunedGemm } from "./gemm/autotune.ts";
import { chooseGemm, GEMM_VARIABLE, type GemmChoice } from "./gemm/choice.ts";
import { CublasLtGemm } from "./gemm/cublaslt.ts";
import { cudaKernels } from "./kernels.ts";
import { ownGemm } from "./launch/gemm.ts";
import { peakFlopsOf } from "./peak-flops.ts";
import type { KernelTimes } from "./profile.ts";
import { kernelDigest, shippedModules } from "./shipped.ts";

export interface CudaOptions {
  /** Who computes matrix products. Default: what STLM_CUDA_GEMM says, else by the GPU. */
  readonly gemm?: GemmChoice | undefined;
  /** False: recorded work is issued call by call. For tests, and for drivers that mishandle graphs. */
  readonly graphs?: boolean | undefined;
  /** Waits after every kernel, so that a fault names it. Default: whether STLM_CUDA_CHECK is set. */
  readonly check?: boolean | undefined;
  /** Gets the time of every kernel; recorded work is then issued call by call. For measuring. */
  readonly profile?: KernelTimes | undefined;
  /** Gets one line where the driver has to compile the kernels first. Default: nobody. */
  readonly inform?: ((message: string) => void) | undefined;
  /** Kernels instead of the package's PTX; for tests. */
  readonly modules?: readonly ModuleSource[] | undefined;
}

/**
 * Opens the first GPU that the driver lists. Throws a UserError NO_CUDA_DEVICE with the one reason why it cannot: no driver, no GPU,
 * or one that is too old.
 */
export async function createCudaBackend(options: CudaOptions = {}): Promise<Backend> {
  const driver = openDriver();
  const description = chooseDevice(driver);
  const check = options.check ?? Boolean(process.env["STLM_CUDA_CHECK"]);
  const modules = options.modules ?? shippedModules();
  const device = new CudaDevice(driver, description, {
    modules,
    check,
    graphs: options.graphs ?? true,
    profile: options.profile,
    inform: options.inform,
  });
  try {
    return open(driver, device, kernelDigest(modules), options.gemm);
  } catch (error) {
    device.close();
    throw error;
  }
}

function open(driver: Driver, device: CudaDevice, kernels: string, wanted: GemmChoice | undefined): Backend {
  const { description } = device;
  const version = driver.version;
  // By what is found, as the planner did, who put it into the class: a library that then does not start must not change the choice.
  const isFound = () => !("reason" in findCublasLt(version));
  const choice = wanted ?? chooseGemm(description.capability, isFound);
  const library =
    choice === "cublaslt" || (choice === "tuned" && isFound()) ? requireCublasLt(choice, version) : undefined;
  const table = choice === "tuned" ? openTable(description, version, library?.version, kernels) : undefined;
  const nvml = openNvml(description.busId);
  const energy = () => ("reason" in nvml ? undefined : nvml.energyJoules());
  const energyAtStart = energy();
  const driverVersion = "reason" in nvml || nvml.driverVersion === "" ? undefined : nvml.driverVersion;
  const gemm = library ? `${choice}, cuBLASLt ${library.version}` : choice;
  const parts = [
    description.name,
    `sm_${description.capability}`,
    formatBytes(description.memoryBytes),
    `CUDA ${cudaVersion(version)}`,
    ...(driverVersion === undefined ? [] : [`driver ${driverVersion}`]),
    choice === "own" ? "own matrix products" : `matrix products ${gemm}`,
  ];
  const lt = library && new CublasLtGemm(library, ownGemm);
  const provider = table ? new TunedGemm(lt, table, device.bench()) : (lt ?? ownGemm);
  const algorithms = () => (table ?? lt)?.used();
  return {
    info: {
      name: "cuda",
      determinismClass: classOf(description, choice, library?.version, table),
      description: `cuda (${parts.join(", ")})`,
      peakFlops: peakFlopsOf(description.name),
    },
    precision: "bf16",
    activations: "bf16",
    kernels: cudaKernels(device, provider),
    allocate: (dtype, length) => device.allocate(dtype, length),
    free: (buffer) => device.free(buffer),
    write: (buffer, values, offset) => device.write(buffer, values, offset),
    read: (buffer, offset, length) => device.read(buffer, offset, length),
    readLater: (buffer, offset, length) => device.readLater(buffer, offset, length),
    record: (body) => device.record(body),
    memory: () => device.memory(),
    measures: () => {
      const now = energy();
      return {
        gpu: description.name,
        ...(device.graphRefusal === undefined ? {} : { no_graphs: device.graphRefusal }),
        kernels,
        ...(driverVersion === undefined ? {} : { driver: driverVersion }),
        gemm,
        ...(algorithms() === undefined ? {} : { gemm_algorithms: algorithms()! }),
        ...(now === undefined || energyAtStart === undefined ? {} : { energy_joules: now - energyAtStart }),
      };
    },
    close: () => {
      // The library first: its handle lives in the context that the device gives back.
      device.settle();
      library?.close();
      device.close();
      if (!("reason" in nvml)) nvml.close();
    },
  };
}

function requireCublasLt(choice: GemmChoice, driverVersion: number): CublasLt {
  const opened = openCublasLt(driverVersion);
  if (!("reason" in opened)) return opened;
  const message = `Matrix products are to be computed by cuBLASLt (${choice}), which cannot be used: ${opened.reason}.`;
  throw new UserError(message, {
    code: "NO_CUBLASLT",
    hint: `Install it (it comes with PyTorch and with the CUDA toolkit), name it in STLM_CUBLASLT_LIBRARY, or set ${GEMM_VARIABLE}=own.`,
  });
}
