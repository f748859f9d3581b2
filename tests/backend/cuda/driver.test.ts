// What a user reads when the GPU, its driver or its memory is not as it should be: every path on a driver that fails on demand.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { describeCuda } from "../../../src/backend/cuda/describe.ts";
import { DRIVER_SIGNATURES, NativeLibrary } from "../../../src/backend/cuda/driver/api.ts";
import { openDriver } from "../../../src/backend/cuda/driver/driver.ts";
import { candidates, LIBRARIES, openBeside, openLibrary } from "../../../src/backend/cuda/driver/locate.ts";
import { openNvml } from "../../../src/backend/cuda/driver/nvml.ts";
import { peakFlopsOf } from "../../../src/backend/cuda/peak-flops.ts";
import { probeCuda, probeNow } from "../../../src/backend/cuda/probe.ts";
import { UserError } from "../../../src/util/errors.ts";
import { controlsUnavailable, DriverRig, ELEMENTWISE, scaling } from "./driver-rig.ts";

const missing = controlsUnavailable();
if (missing) console.error(`The driver's errors are not tested: ${missing}`);

function failureOf(work: () => unknown): UserError {
  try {
    work();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

const folders: string[] = [];
function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-cuda-"));
  folders.push(folder);
  return folder;
}
afterEach(() => {
  vi.unstubAllEnvs();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

describe("finding libraries", () => {
  test("a variable of our own names the only candidate, and none means none", () => {
    expect(candidates("cuda", { STLM_CUDA_LIBRARY: "/opt/libcuda.so" })).toEqual(["/opt/libcuda.so"]);
    expect(candidates("cublasLt", { STLM_CUBLASLT_LIBRARY: "none" })).toEqual([]);
  });

  test.skipIf(process.platform !== "linux")(
    "the loader is asked first, then toolkits, conda and Python's packages",
    () => {
      const home = temporaryFolder();
      const places = [
        "cuda/lib64/libcublasLt.so.12",
        "conda/lib/libcublasLt.so.13",
        "venv/lib/python3.9/site-packages/nvidia/cublas/lib/libcublasLt.so.12",
        "venv/lib/python3.11/site-packages/nvidia/cu13/lib/libcublasLt.so.13",
      ];
      for (const place of places) {
        mkdirSync(path.dirname(path.join(home, place)), { recursive: true });
        writeFileSync(path.join(home, place), "");
      }
      const environment = {
        CUDA_HOME: path.join(home, "cuda"),
        CONDA_PREFIX: path.join(home, "conda"),
        VIRTUAL_ENV: path.join(home, "venv"),
        HOME: home,
        PATH: "",
      };
      const found = candidates("cublasLt", environment);
      expect(found.slice(0, 3)).toEqual(["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"]);
      const ours = found.filter((file) => file.startsWith(home)).map((file) => path.relative(home, file));
      expect(ours).toEqual([places[0], places[1], places[3], places[2]]);
      // A driver of CUDA 12 cannot run a library of CUDA 13.
      const older = candidates("cublasLt", environment, 12).filter((file) => file.startsWith(home));
      expect(older.map((file) => path.relative(home, file))).toEqual([places[0], places[2]]);
    },
  );

  test.skipIf(process.platform !== "linux")("a Python on the PATH leads to its packages without being started", () => {
    const home = temporaryFolder();
    const library = path.join(home, "lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
    for (const file of [path.join(home, "bin/python3"), library]) {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, "");
    }
    expect(candidates("nvrtc", { PATH: path.join(home, "bin"), HOME: "/nonexistent" })).toContain(library);
  });

  test("a file that is no library is named with what the loader says", () => {
    const file = path.join(temporaryFolder(), "libcuda.so.1");
    writeFileSync(file, "not a library");
    vi.stubEnv(LIBRARIES.cuda.variable, file);
    const opened = openLibrary("cuda");
    expect(opened.library).toBeUndefined();
    expect("reason" in opened && opened.reason).toContain(`${file}: `);
    const error = failureOf(openDriver);
    expect(error.code).toBe("NO_CUDA_DEVICE");
    expect(error.message).toContain(file);
    expect(error.hint).toMatch(/^Unset STLM_CUDA_LIBRARY, or name /);
  });

  test.skipIf(process.platform !== "linux")("a library that is no driver is refused by the functions it lacks", () => {
    vi.stubEnv(LIBRARIES.cuda.variable, "libc.so.6");
    expect(failureOf(openDriver).message).toMatch(/libc\.so\.6 lacks cuInit, cuDriverGetVersion/);
  });

  test("no management library is a reason, not an error", () => {
    vi.stubEnv(LIBRARIES.nvml.variable, "none");
    expect(openNvml("")).toEqual({ reason: "STLM_NVML_LIBRARY is none" });
  });

  test("the peak of the GPUs that people have is known, and of others not", () => {
    expect(peakFlopsOf("NVIDIA H200")).toBe(989e12);
    expect(peakFlopsOf("NVIDIA L40S")).toBe(362e12);
    expect([peakFlopsOf("NVIDIA A10"), peakFlopsOf("NVIDIA A10G")]).toEqual([125e12, 70e12]);
    expect(peakFlopsOf("NVIDIA GeForce RTX 4090")).toBe(165.2e12);
    expect(peakFlopsOf("CUDA simulator")).toBeUndefined();
  });
});

const header = "/usr/local/cuda/include/cuda.h";
const withoutHeader = existsSync(header) ? undefined : `there is no ${header}`;

test.skipIf(withoutHeader)("the signature table has the names and the types of NVIDIA's own header", () => {
  // With the versions of functions that older drivers export.
  const options = ["-E", "-P", "-x", "c", "-D__CUDA_API_VERSION_INTERNAL", header];
  const text = execFileSync("g++", options, { encoding: "utf8", maxBuffer: 1 << 24 });
  const declared = new Map<string, string>();
  for (const [, name, parameters] of text.matchAll(/CUresult\s+(cu\w+)\s*\(([^)]*)\)/g)) {
    const types = parameters === "void" ? [] : parameters!.split(",").map(letterOf);
    declared.set(name!, types.join(""));
  }
  for (const [name, types] of Object.entries(DRIVER_SIGNATURES))
    expect([name, declared.get(name)]).toEqual([name, types]);
});

/** The letter of DRIVER_SIGNATURES for a parameter as a C header declares it. */
function letterOf(parameter: string): string {
  const type = parameter
    .trim()
    .replace(/\s*\w+$/, "")
    .replace("const ", "")
    .trim();
  if (type.endsWith("*") || parameter.includes("[")) return "p";
  const letters: Record<string, string> = {
    "unsigned int": "u",
    "unsigned char": "b",
    int: "i",
    CUdevice: "i",
    CUresult: "i",
  };
  const isEnumeration = type.startsWith("CUdevice_") || type.startsWith("CUfunction_") || type.endsWith("Mode");
  return letters[type] ?? (isEnumeration ? "i" : "p");
}

describe.skipIf(missing)("errors of the simulated driver", () => {
  let rig: DriverRig;
  beforeAll(async () => {
    rig = await DriverRig.create(["elementwise.cu"]);
  });
  beforeEach(() => {
    rig.reset();
    for (const name of ["cuda", "cublasLt", "nvml"] as const) {
      vi.stubEnv(LIBRARIES[name].variable, name === "cuda" ? rig.library : "none");
    }
    vi.stubEnv("XDG_CACHE_HOME", temporaryFolder());
  });

  test("every function of the signature table is one that the driver exports", () => {
    const library = new NativeLibrary(rig.library);
    const absent = Object.entries(DRIVER_SIGNATURES).filter(([name, types]) => !library.bind(name, types));
    expect(absent).toEqual([]);
    expect(library.bind("cuNoSuchFunction", "p")).toBeUndefined();
  });

  test("a driver without a GPU says so", () => {
    rig.setDevice(0);
    const error = failureOf(openDriver);
    expect(error.message).toBe(`The cuda device cannot be used: the driver (${rig.library}) finds no GPU.`);
    expect(error.hint).toContain("--device cpu");
  });

  test("a driver that does not start is quoted", () => {
    rig.fail("cuInit", 803);
    const error = failureOf(openDriver);
    expect(error.code).toBe("NO_CUDA_DEVICE");
    expect(error.message).toMatch(/does not start: .*803|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH/);
    expect(error.hint).toContain("restart the machine");
  });

  test("a GPU before Ampere is refused by name", () => {
    rig.setDevice(1, 13000, 75);
    expect(failureOf(() => rig.openDevice()).message).toBe(
      "The cuda device cannot be used: CUDA simulator has compute capability 7.5, and the kernels need 8.0 (Ampere, 2020) or newer.",
    );
  });

  test("a driver too old for the kernels says which one is needed", () => {
    const ptx = ELEMENTWISE.ptx.replace(".version 7.8", ".version 9.9");
    const { device } = rig.openDevice({ modules: [{ name: "elementwise.ptx", ptx }] });
    const x = device.allocate("f32", 4);
    const error = failureOf(() => device.launcher.launch(scaling(x, x, 2, 4)));
    expect(error.code).toBe("CUDA_DRIVER_TOO_OLD");
    expect(error.message).toMatch(
      /driver \(CUDA 13\.0\) cannot compile elementwise\.ptx .*CUDA_ERROR_UNSUPPORTED_PTX_VERSION/,
    );
    expect(error.hint).toBe(
      "The kernels are PTX 9.9 for compute capability 8.0: install NVIDIA driver 520 (CUDA 11.8) or newer.",
    );
    device.close();
  });

  test.each([
    [218, "CUDA_ERROR_INVALID_PTX", "CUDA_KERNELS_REFUSED", "report this"],
    [221, "CUresult 221", "NO_PTX_COMPILER", "LD_LIBRARY_PATH"],
    [2, "CUDA_ERROR_OUT_OF_MEMORY", "OUT_OF_MEMORY", "smaller micro-batch"],
  ])("a module that is refused with %i, %s, is reported as what it is", (status, name, code, advice) => {
    rig.fail("cuModuleLoadDataEx", status);
    const { device } = rig.openDevice();
    const x = device.allocate("f32", 4);
    const error = failureOf(() => device.launcher.launch(scaling(x, x, 2, 4)));
    expect([error.code, error.exitCode]).toEqual([code, 1]);
    expect(error.message).toContain(name);
    expect(error.hint).toContain(advice);
    device.launcher.launch(scaling(x, x, 2, 4));
    device.close();
  });

  test("the driver's compiler is loaded from beside the driver, where the loader would not look", () => {
    const folder = temporaryFolder();
    // Of this name nothing else is loaded, here or on a machine with a GPU.
    const name = "libstlm-beside.so.1";
    execFileSync("g++", ["-shared", "-x", "c", "/dev/null", `-Wl,-soname,${name}`, "-o", path.join(folder, name)]);
    expect(() => new NativeLibrary(name)).toThrow();
    const kept = openBeside(path.join(folder, "libcuda.so.1"), name);
    expect(kept).toBeDefined();
    expect(() => new NativeLibrary(name)).not.toThrow();
    expect(openBeside("libcuda.so.1", name)).toBeUndefined();
    expect(openBeside(path.join(folder, "libcuda.so.1"), "libstlm-absent.so.1")).toBeUndefined();
    symlinkSync(rig.library, path.join(folder, "libcuda.so.1"));
    symlinkSync(name, path.join(folder, "libnvidia-ptxjitcompiler.so.1"));
    vi.stubEnv(LIBRARIES.cuda.variable, path.join(folder, "libcuda.so.1"));
    expect(openDriver().compiler?.path).toBe(path.join(folder, "libnvidia-ptxjitcompiler.so.1"));
  });

  test("too little memory names what was asked for, what is free and what is in use, and the device works on", () => {
    rig.setMemory(80 << 20);
    const { device } = rig.openDevice();
    const first = device.allocate("f32", 5 << 20);
    const error = failureOf(() => device.allocate("f32", 20 << 20));
    expect(error.code).toBe("OUT_OF_MEMORY");
    expect(error.message).toMatch(
      /^The cuda device cannot allocate 83\.9 MB: .* of the GPU's 83\.9 MB are free, and 21\.0 MB are in use by this run\.$/,
    );
    expect(error.hint).toContain("smaller micro-batch");
    device.free(first);
    expect(device.allocate("f32", 10 << 20).length).toBe(10 << 20);
    device.close();
  });

  test("memory that was given back is returned to the driver before anything is refused", () => {
    rig.setMemory(100 << 20);
    const { device } = rig.openDevice();
    device.free(device.allocate("f32", 10 << 20));
    const whole = device.allocate("f32", 20 << 20);
    expect(device.read(whole, 0, 1)).toEqual(new Float32Array(1));
    device.close();
  });

  test("page-locked memory that cannot be had is an error of the driver, with its name", () => {
    const { device } = rig.openDevice();
    const x = device.allocate("f32", 4);
    rig.fail("cuMemHostAlloc", 2);
    const error = failureOf(() => device.write(x, new Float32Array(4)));
    expect([error.code, error.exitCode]).toEqual(["OUT_OF_MEMORY", 1]);
    expect(error.message).toContain("cuMemHostAlloc: CUDA_ERROR_OUT_OF_MEMORY");
    device.close();
  });

  test("a kernel's fault names the last kernels, and every later call says the same", async () => {
    const { device, driver } = rig.openDevice();
    const x = device.allocate("f32", 4);
    device.launcher.launch(scaling(x, x, 2, 4));
    const later = device.readLater(x);
    rig.fail("cuEventQuery", 700);
    await expect(later).rejects.toMatchObject({ code: "CUDA_KERNEL_FAULT" });
    const error = failureOf(() => device.read(x));
    expect(error.code).toBe("CUDA_KERNEL_FAULT");
    expect(error.exitCode).toBe(1);
    expect(error.message).toMatch(
      /^The GPU stopped in the middle of its work: CUDA_ERROR_ILLEGAL_ADDRESS.* Queued last, newest first: scale_f32 \(grid 1 x 1 x 1, 256 threads\)\.$/,
    );
    expect(error.hint).toContain("STLM_CUDA_CHECK=1");
    expect(driver.faulted).toBe(true);
    expect(failureOf(() => device.allocate("f32", 1 << 24)).code).toBe("CUDA_KERNEL_FAULT");
    device.close();
  });

  test.each([719, 226])(
    "with a wait after every kernel a fault (%i) is that of the one that was launched",
    (status) => {
      const { device } = rig.openDevice({ check: true });
      const x = device.allocate("f32", 4);
      rig.fail("cuStreamSynchronize", status);
      const error = failureOf(() => device.launcher.launch(scaling(x, x, 2, 4)));
      expect([error.code, error.message]).toEqual([
        "CUDA_KERNEL_FAULT",
        expect.stringContaining("cuStreamSynchronize"),
      ]);
      device.close();
    },
  );

  test("a launch that the driver refuses is no fault", () => {
    const { device, driver } = rig.openDevice();
    const x = device.allocate("f32", 4);
    const error = failureOf(() => device.launcher.launch({ ...scaling(x, x, 2, 4), threads: 100_000 }));
    expect(error.message).toMatch(/^The CUDA driver refused cuLaunchKernel: CUDA_ERROR_/);
    expect(driver.faulted).toBe(false);
    expect(() => device.launcher.launch({ ...scaling(x, x, 2, 4), kernel: "no_such_kernel" })).toThrow(
      "no_such_kernel",
    );
    device.close();
  });

  test("the probe finds what opening would, remembers it, and looks again when the library changes", () => {
    const probe = probeCuda();
    expect(probe).toMatchObject({ available: true, driverVersion: 13000, noCublasLt: "STLM_CUBLASLT_LIBRARY is none" });
    expect(probe.available && probe.device.capability).toBe(80);
    const calls = rig.count("cuDeviceGetCount");
    expect(probeCuda()).toEqual(probe);
    expect(rig.count("cuDeviceGetCount")).toBe(calls);
    vi.stubEnv(LIBRARIES.cuda.variable, "/nonexistent/libcuda.so");
    expect(probeCuda()).toMatchObject({ available: false });
  });

  test("doctor is told what was found where, or the one reason why not", async () => {
    expect((await describeCuda()).map(({ what, ok }) => [what, ok])).toEqual(
      ["cuda device", "cuda kernels", "matrix products", "NVML"].map((what) => [what, true]),
    );
    const [gpu, kernels, products, nvml] = (await describeCuda()).map(({ detail }) => detail);
    expect(gpu).toBe(
      `0: CUDA simulator (compute capability 8.0, 4 multiprocessors, 1.07 GB); driver for CUDA 13.0, ${rig.library}`,
    );
    expect(kernels).toMatch(/^PTX 7\.8, \d+ files$/);
    expect(products).toMatch(/^own; cuBLASLt not found \(STLM_CUBLASLT_LIBRARY is none\)/);
    expect(nvml).toBe("not found (STLM_NVML_LIBRARY is none): energy is not recorded");
    rig.setDevice(1, 13000, 70);
    const refused = await describeCuda();
    expect(refused).toHaveLength(1);
    expect(refused[0]).toMatchObject({ ok: false, detail: expect.stringContaining("compute capability 7.0") });
  });

  test.each([
    ["STLM_CUDA_GEMM is bogus.", "matrix products", "bogus", "It can be own, cublaslt, tuned"],
    ["which cannot be used: STLM_CUBLASLT_LIBRARY is none.", "matrix products", "cublaslt", "Install it"],
    ["cannot compile elementwise.ptx", "cuda kernels", "", "LD_LIBRARY_PATH"],
  ])("doctor is told why the next run would be refused: %s", async (detail, what, gemm, remedy) => {
    vi.stubEnv("STLM_CUDA_GEMM", gemm);
    if (what === "cuda kernels") rig.fail("cuModuleLoadDataEx", 221);
    const findings = await describeCuda();
    expect(findings).toHaveLength(4);
    expect(findings.filter(({ ok }) => !ok)).toEqual([
      { what, ok: false, detail: expect.stringContaining(detail), remedy: expect.stringContaining(remedy) },
    ]);
  });

  test("a machine without a GPU is an answer of the probe", () => {
    rig.setDevice(0);
    expect(probeNow()).toMatchObject({ available: false, reason: expect.stringContaining("finds no GPU") });
  });
});
