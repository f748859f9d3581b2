// Which GPU there is and how it would compute, without opening it: planning asks on every command, so the answer is remembered
// until something about the driver changes, and a machine without an NVIDIA driver pays for a look at three files.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { canonicalJson } from "../../util/canonical-json.ts";
import { isUserError } from "../../util/errors.ts";
import { cacheFolder } from "../cpu/build.ts";
import { findCublasLt } from "./driver/cublaslt.ts";
import { absentDriverHint, chooseDevice, type DeviceDescription, openDriver } from "./driver/driver.ts";
import { candidates, LIBRARIES, LOCATOR_VARIABLES } from "./driver/locate.ts";

export interface CudaFound {
  readonly available: true;
  readonly device: DeviceDescription;
  /** libcuda's file. */
  readonly driverFile: string;
  /** 12080 for CUDA 12.8. */
  readonly driverVersion: number;
  /** Undefined where it was not found. */
  readonly cublasLt?: { readonly file: string; readonly version: string };
  /** Why there is no cuBLASLt. */
  readonly noCublasLt?: string;
}

export interface CudaMissing {
  readonly available: false;
  readonly reason: string;
  readonly hint: string;
}

export type CudaProbe = CudaFound | CudaMissing;

let remembered: { readonly key: string; readonly probe: CudaProbe } | undefined;

/** Never throws: a machine without a usable GPU is an answer. */
export function probeCuda(): CudaProbe {
  if (seemsWithoutDriver()) {
    return {
      available: false,
      reason: "The cuda device cannot be used: this machine has no NVIDIA driver that is running.",
      hint: absentDriverHint(),
    };
  }
  const key = probeKey();
  if (remembered?.key === key) return remembered.probe;
  const probe = readCached(key) ?? probeNow();
  remembered = { key, probe };
  writeCached(key, probe);
  return probe;
}

/** The same, found anew: for `doctor`. */
export function probeNow(): CudaProbe {
  try {
    const driver = openDriver();
    const device = chooseDevice(driver);
    const driverVersion = driver.version;
    const library = findCublasLt(driverVersion);
    const cublasLt = "reason" in library ? { noCublasLt: library.reason } : { cublasLt: pick(library) };
    return { available: true, device, driverFile: driver.file, driverVersion, ...cublasLt };
  } catch (error) {
    if (!isUserError(error)) throw error;
    return { available: false, reason: error.message, hint: error.hint ?? "" };
  }
}

function pick({ file, version }: { file: string; version: string }) {
  return { file, version };
}

/** Found by a look at three files. A running NVIDIA driver shows as one of them on Linux (the last one under WSL). */
export function seemsWithoutDriver(): boolean {
  if (process.platform === "darwin") return true;
  if (process.platform !== "linux" || process.env[LIBRARIES.cuda.variable]) return false;
  return !["/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg"].some((file) => existsSync(file));
}

/** Digest of what the answer depends on, as far as it can be seen without loading anything. */
function probeKey(): string {
  const variables = [
    ...LOCATOR_VARIABLES,
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "NVIDIA_VISIBLE_DEVICES",
    "PATH",
  ];
  const files = [...candidates("cuda"), ...candidates("cublasLt")].filter((file) => path.isAbsolute(file));
  const state = {
    environment: variables.map((name) => process.env[name] ?? null),
    driver: textOf("/proc/driver/nvidia/version"),
    boot: textOf("/proc/sys/kernel/random/boot_id"),
    gpus: namesIn("/proc/driver/nvidia/gpus"),
    files: files.map((file) => [file, stampOf(file)]),
  };
  return createHash("sha256").update(canonicalJson(state)).digest("hex");
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function stampOf(file: string): string | null {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat ? `${stat.ino} ${stat.size} ${stat.mtimeMs}` : null;
}

/** The last answers of this machine, by key: labs with other environments do not displace each other at once. */
const CACHE_FILE = "cuda-probe.json";
const MOST_CACHED = 8;

type Cache = readonly { readonly key: string; readonly probe: CudaProbe }[];

function readCache(): Cache {
  try {
    const cache: unknown = JSON.parse(readFileSync(path.join(cacheFolder(), CACHE_FILE), "utf8"));
    return Array.isArray(cache) ? (cache as Cache) : [];
  } catch {
    return [];
  }
}

function readCached(key: string): CudaProbe | undefined {
  return readCache().find((entry) => entry.key === key)?.probe;
}

/** What cannot be written is found anew the next time. */
function writeCached(key: string, probe: CudaProbe): void {
  const cache = readCache();
  // A GPU that failed once may well work the next time.
  if (!probe.available || cache.some((entry) => entry.key === key)) return;
  try {
    const file = path.join(cacheFolder(), CACHE_FILE);
    const own = `${file}.${process.pid}`;
    writeFileSync(own, canonicalJson([{ key, probe }, ...cache].slice(0, MOST_CACHED)));
    renameSync(own, file);
  } catch {
    return;
  }
}
