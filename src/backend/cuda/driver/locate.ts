// Where NVIDIA's libraries may lie on a user's machine. Only the driver (libcuda) is needed; cuBLASLt, NVRTC and NVML are taken
// where they are found: on the loader's path, in a toolkit, in conda, or in the Python packages that PyTorch brings.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { messageOf } from "../../../util/errors.ts";
import { NativeLibrary } from "./api.ts";

export type LibraryName = "cuda" | "nvml" | "cublasLt" | "nvrtc";

type Environment = Readonly<Record<string, string | undefined>>;

interface LibrarySpec {
  /** A path here is the only candidate; `none` means that the library is not to be used. */
  readonly variable: string;
  /** Names as the dynamic loader knows them, best first. */
  readonly names: readonly string[];
  /** Where the Python packages of PyTorch keep it. */
  readonly packageFolders: readonly string[];
}

const WINDOWS = process.platform === "win32";
const CUDA_MAJORS = [13, 12, 11] as const;

export const LIBRARIES: Readonly<Record<LibraryName, LibrarySpec>> = {
  cuda: {
    variable: "STLM_CUDA_LIBRARY",
    names: WINDOWS ? ["nvcuda.dll"] : ["libcuda.so.1", "libcuda.so"],
    packageFolders: [],
  },
  nvml: {
    variable: "STLM_NVML_LIBRARY",
    names: WINDOWS ? ["nvml.dll"] : ["libnvidia-ml.so.1", "libnvidia-ml.so"],
    packageFolders: [],
  },
  cublasLt: {
    variable: "STLM_CUBLASLT_LIBRARY",
    names: CUDA_MAJORS.map((major) => (WINDOWS ? `cublasLt64_${major}.dll` : `libcublasLt.so.${major}`)),
    packageFolders: ["nvidia/cu13/lib", "nvidia/cublas/lib", "torch/lib"],
  },
  nvrtc: {
    variable: "STLM_NVRTC_LIBRARY",
    names: WINDOWS
      ? ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll", "nvrtc64_112_0.dll"]
      : ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"],
    packageFolders: ["nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib", "torch/lib"],
  },
};

/** Environment variables that change what is found: a stage's process needs them as much as its planner. */
export const LOCATOR_VARIABLES: readonly string[] = [
  ...Object.values(LIBRARIES).map((library) => library.variable),
  "LD_LIBRARY_PATH",
  "CUDA_HOME",
  "CUDA_PATH",
  "CONDA_PREFIX",
  "VIRTUAL_ENV",
];

/**
 * What to try, in order: names without a folder are the loader's to find (LD_LIBRARY_PATH, ldconfig), the rest are files that exist.
 * `newest` leaves out CUDA generations above it: a library of CUDA 13 refuses a driver of CUDA 12.
 */
export function candidates(
  library: LibraryName,
  environment: Environment = process.env,
  newest: number = CUDA_MAJORS[0],
): string[] {
  const { variable, names, packageFolders } = LIBRARIES[library];
  const forced = environment[variable];
  if (forced === "none") return [];
  if (forced) return [forced];
  const usable = names.filter((name) => (majorOf(name) ?? 0) <= newest);
  const folders = [...driverFolders(), ...toolkitFolders(environment), ...pythonFolders(environment, packageFolders)];
  const files = folders.flatMap((folder) => usable.map((name) => path.join(folder, name))).filter(isFile);
  return [...usable, ...new Set(files)];
}

/** The CUDA generation in a library's file name: 12 of `libcublasLt.so.12`; undefined for the driver's own libraries. */
function majorOf(name: string): number | undefined {
  const found = /(?:cublasLt|nvrtc)(?:\.so\.|64_)(\d\d)/.exec(name);
  return found ? Number(found[1]) : undefined;
}

/** Opened, or, for each candidate, why it was not. */
export type Opened =
  | { readonly library: NativeLibrary; readonly file: string }
  | { readonly library: undefined; readonly reason: string };

/** The first candidate that loads. */
export function openLibrary(library: LibraryName, newest?: number): Opened {
  const { variable, names } = LIBRARIES[library];
  const tried: string[] = [];
  for (const candidate of candidates(library, process.env, newest)) {
    try {
      return { library: new NativeLibrary(candidate), file: loadedFile(candidate) };
    } catch (error) {
      tried.push(`${candidate}: ${messageOf(error).replace(/^Failed to load shared library: /, "")}`);
    }
  }
  const forced = process.env[variable];
  if (forced === "none") return { library: undefined, reason: `${variable} is none` };
  // That the loader does not know a name says nothing; that a file is there and cannot be loaded says all.
  const file = tried.find((line) => forced || path.isAbsolute(line));
  return { library: undefined, reason: file ?? `no ${names.join(", ")} here` };
}

/**
 * A library of which `file` opens a part by name only: loaded from the same folder, so that the loader knows it by then, also where
 * that folder is not one of its own. Undefined where it is not there. It has to be kept as long as `file` is used.
 */
export function openBeside(file: string, name: string): NativeLibrary | undefined {
  if (!path.isAbsolute(file)) return undefined;
  try {
    return new NativeLibrary(path.join(path.dirname(file), name));
  } catch {
    return undefined;
  }
}

/** The file behind a name that the loader found; the name itself where the system does not tell. */
function loadedFile(candidate: string): string {
  if (path.isAbsolute(candidate) || !existsSync("/proc/self/maps")) return candidate;
  const stem = candidate.split(".so")[0]!;
  const line = readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .find((entry) => path.basename(entry).startsWith(`${stem}.so`));
  return line === undefined ? candidate : line.slice(line.indexOf("/"));
}

/** WSL and container runtimes put the driver's libraries here, not always in ldconfig's list. */
function driverFolders(): string[] {
  return ["/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib"];
}

function toolkitFolders(environment: Environment): string[] {
  const homes = [
    environment["CUDA_HOME"],
    environment["CUDA_PATH"],
    "/usr/local/cuda",
    ...versioned("/usr/local", "cuda-"),
  ];
  const libraries = homes
    .filter((home) => home)
    .flatMap((home) => ["lib64", "lib", "bin"].map((end) => path.join(home!, end)));
  const conda = environment["CONDA_PREFIX"];
  return [...libraries, ...(conda ? [path.join(conda, "lib")] : []), "/usr/lib/x86_64-linux-gnu"];
}

/** Library folders inside the Python installations that the user's shell would take, without starting Python. */
function pythonFolders(environment: Environment, packageFolders: readonly string[]): string[] {
  if (packageFolders.length === 0) return [];
  const onPath = (environment["PATH"] ?? "")
    .split(path.delimiter)
    .filter((folder) => folder !== "" && isFile(path.join(folder, WINDOWS ? "python.exe" : "python3")))
    .map((folder) => path.dirname(folder));
  const home = environment["HOME"] ?? os.homedir();
  const prefixes = [
    environment["VIRTUAL_ENV"],
    environment["CONDA_PREFIX"],
    ...onPath,
    path.join(home, ".local"),
    "/usr",
  ];
  const sites = prefixes
    .filter((prefix) => prefix)
    .flatMap((prefix) => ["lib", "lib64"].map((lib) => path.join(prefix!, lib)))
    .flatMap((lib) => versioned(lib, "python3"))
    .flatMap((lib) => [path.join(lib, "site-packages"), path.join(lib, "dist-packages")]);
  return [...new Set(sites)].flatMap((site) => packageFolders.map((folder) => path.join(site, folder)));
}

/** Folders `<parent>/<stem>...`, the highest version first. */
function versioned(parent: string, stem: string): string[] {
  const number = (name: string) => name.slice(stem.length).split(".").map(Number);
  const byVersion = (a: string, b: string) => {
    const [left, right] = [number(a), number(b)];
    return right.map((part, i) => part - (left[i] ?? 0)).find((difference) => difference !== 0) ?? 0;
  };
  try {
    const names = readdirSync(parent).filter(
      (name) => name.startsWith(stem) && /^[\d.]*$/.test(name.slice(stem.length)),
    );
    return names.sort(byVersion).map((name) => path.join(parent, name));
  } catch {
    return [];
  }
}

/** False also for what lies in a folder that this user may not look into. */
function isFile(file: string): boolean {
  try {
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
