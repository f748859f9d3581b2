// The simulator itself: that every kernel file compiles for it.

import { describe, expect, test } from "vitest";
import { SimulatorLauncher, simulatorUnavailable } from "./simulator-launcher.ts";

const unavailable = simulatorUnavailable();

describe.skipIf(unavailable)(`the CUDA simulator${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  test("opens with all kernels of the device", async () => {
    const device = await SimulatorLauncher.open();
    expect(device.launched).toEqual([]);
  });
});
