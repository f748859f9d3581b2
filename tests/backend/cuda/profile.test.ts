// Times of kernels by events, on recorded work and on work issued at once.

import { beforeAll, describe, expect, test } from "vitest";
import { CudaDevice } from "../../../src/backend/cuda/device.ts";
import { chooseDevice, openDriver } from "../../../src/backend/cuda/driver/driver.ts";
import { KernelTimes } from "../../../src/backend/cuda/profile.ts";
import { addition, DriverRig, driverUnavailable, ELEMENTWISE, isSimulated, scaling } from "./driver-rig.ts";

const missing = driverUnavailable();
if (missing) console.error(`Times of kernels are not tested: ${missing}`);

describe.skipIf(missing)("the times of kernels", () => {
  let rig: DriverRig;
  beforeAll(async () => {
    rig = await DriverRig.create(["elementwise.cu"]);
  });

  test("are summed by name, also where the work is recorded, and only while they are asked for", () => {
    const profile = new KernelTimes();
    const driver = openDriver();
    const device = new CudaDevice(driver, chooseDevice(driver), { modules: [ELEMENTWISE], profile });
    const x = device.allocate("f32", 1000);
    const y = device.allocate("f32", 1000);
    device.write(x, new Float32Array(1000).fill(1));
    const recording = device.record(() => {
      device.launcher.launch(scaling(y, x, 2, 1000));
      device.launcher.launch(addition(x, x, y, 1000));
    });
    recording.replay();
    profile.begin();
    for (let i = 0; i < 3; i++) recording.replay();
    device.launcher.launch(scaling(x, x, 2, 1000));
    const times = profile.end();
    recording.replay();
    expect(Object.fromEntries(times.map(({ kernel, launches }) => [kernel, launches]))).toEqual({
      scale_f32: 4,
      add_f32: 3,
    });
    for (const { milliseconds } of times) expect(milliseconds).toBeGreaterThanOrEqual(0);
    expect(profile.end()).toEqual([]);
    expect(device.read(x, 0, 1)[0]).toBe(3 ** 5 * 2);
    if (isSimulated) expect(rig.count("cuGraphLaunch")).toBe(0);
    profile.begin();
    recording.replay();
    device.close();
    expect(() => new CudaDevice(driver, chooseDevice(driver), { modules: [ELEMENTWISE], profile })).toThrow(
      "one device",
    );
  });
});
