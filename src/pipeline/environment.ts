// The variables that a stage's process sees: a short list, so that nobody's shell decides a result.

import { packageRoot } from "../util/package-root.ts";
import type { DeterminismClass } from "./stage.ts";

/** Where programs and temporary files are. */
const PASSED = ["PATH", "HOME", "TMPDIR"];

/** How to reach the network, and who asks: only for stages whose result comes from outside anyway. */
const PASSED_EXTERNAL = [
  ...["http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"],
  ...["NODE_EXTRA_CA_CERTS", "NODE_USE_ENV_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"],
  ...["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "GITHUB_TOKEN"],
];

/**
 * Where the driver's libraries and compiled kernels are, which GPUs there are, and which instruction set to use (all give the
 * same bits) or who multiplies on a GPU (which enters the key by the device's class): only for stages that compute on a device.
 */
const PASSED_DEVICE = [
  ...["LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", "CONDA_PREFIX", "VIRTUAL_ENV", "XDG_CACHE_HOME", "STLM_CPU_ISA"],
  ...["STLM_CUDA_LIBRARY", "STLM_CUBLASLT_LIBRARY", "STLM_NVML_LIBRARY", "STLM_CUDA_GEMM", "STLM_CUDA_CHECK"],
  ...["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_CACHE_PATH"],
];

export interface EnvironmentOptions {
  readonly determinism: DeterminismClass;
  readonly usesDevice: boolean;
  /** Ids of the GPUs that this run may use; undefined where it runs on none. */
  readonly gpus?: readonly string[] | undefined;
  readonly dataDir?: string | undefined;
  /** The executor's own environment. */
  readonly from: Readonly<Record<string, string | undefined>>;
}

export function childEnvironment(options: EnvironmentOptions): Record<string, string> {
  const names = [
    ...PASSED,
    ...(options.determinism === "external" ? PASSED_EXTERNAL : []),
    ...(options.usesDevice ? PASSED_DEVICE : []),
  ];
  const environment: Record<string, string> = { TZ: "UTC", LC_ALL: "C", STLM_PACKAGE_ROOT: packageRoot() };
  for (const name of names) {
    const value = options.from[name];
    if (value !== undefined) environment[name] = value;
  }
  if (options.dataDir !== undefined) environment["STLM_DATA_DIR"] = options.dataDir;
  if (options.gpus) environment["CUDA_VISIBLE_DEVICES"] = options.gpus.join(",");
  return environment;
}
