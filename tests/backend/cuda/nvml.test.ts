// The calls to NVML, against a stand-in for the library.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { NativeLibrary } from "../../../src/backend/cuda/driver/api.ts";
import { openNvml } from "../../../src/backend/cuda/driver/nvml.ts";
import { createCudaBackend } from "../../../src/backend/cuda/index.ts";
import { controlsUnavailable, DriverRig } from "./driver-rig.ts";

const missing = controlsUnavailable();
if (missing) console.error(`NVML is not tested: ${missing}`);

describe.skipIf(missing)("NVML", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-nvml-"));
  const library = path.join(folder, "libnvidia-ml.so.1");
  let starts: () => number;
  beforeAll(async () => {
    await DriverRig.create();
    const source = path.join(import.meta.dirname, "fake-nvml", "nvml.cpp");
    execFileSync("g++", ["-std=c++20", "-O1", "-shared", "-fPIC", source, "-o", library]);
    starts = new NativeLibrary(library).bind("fakeStarts", "")!;
  }, 300_000);
  beforeEach(() => vi.stubEnv("STLM_NVML_LIBRARY", library));
  afterEach(() => vi.unstubAllEnvs());
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("knows the driver, energy and power of the GPU at a bus id, and nothing of a GPU that is not there", () => {
    for (const busId of ["00000000:00:00.0", ""]) {
      const nvml = openNvml(busId);
      if ("reason" in nvml) throw new Error(nvml.reason);
      expect(nvml.driverVersion).toBe("570.86.15");
      const first = nvml.energyJoules()!;
      expect(nvml.energyJoules()).toBe(first + 1.5);
      expect(nvml.powerWatts()).toBe(350.4);
      nvml.close();
    }
    const other = openNvml("00000000:7f:00.0");
    if ("reason" in other) throw new Error(other.reason);
    expect([other.energyJoules(), other.powerWatts()]).toEqual([undefined, undefined]);
    other.close();
    expect(starts()).toBe(0);
  });

  test("the run record has the driver's version and the energy since the device was opened", async () => {
    const backend = await createCudaBackend();
    expect(backend.info.description).toContain("driver 570.86.15");
    expect(backend.measures!()).toMatchObject({ driver: "570.86.15", energy_joules: 1.5 });
    expect(backend.measures!()["energy_joules"]).toBe(3);
    backend.close();
    expect(starts()).toBe(0);
  });
});
