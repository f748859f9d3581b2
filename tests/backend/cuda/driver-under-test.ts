// Which driver the tests of the cuda device run on: the simulator, built here, or the one that STLM_TEST_DRIVER names
// (`libcuda.so.1` for a GPU, or the file of a simulator that was built elsewhere).

import { NativeLibrary } from "../../../src/backend/cuda/driver/api.ts";
import {
  buildSimulator,
  type SimulatorOptions,
  simulatorUnavailable as simulatorCannotBeBuilt,
} from "../../../src/backend/cuda/simulator/build.ts";

const named = process.env["STLM_TEST_DRIVER"] || undefined;

/** False on a GPU, where threads run as they like and no call fails on demand. */
export const isSimulated = !named || new NativeLibrary(named).bind("cudasimReset", "") !== undefined;

/** Why there is no driver to test on, or undefined. */
export function driverUnavailable(): string | undefined {
  return named ? undefined : simulatorCannotBeBuilt();
}

/** Why simulators with faults and with other kernels cannot be built here, or undefined. */
export function simulatorUnavailable(): string | undefined {
  return named ? "STLM_TEST_DRIVER names a driver that is built already" : simulatorCannotBeBuilt();
}

/** Why what only the simulator can do (fail on demand, count calls, order threads) is not tested, or undefined. */
export function controlsUnavailable(): string | undefined {
  return isSimulated ? driverUnavailable() : "a GPU's driver has no controls for tests";
}

/** The driver's library. A driver that is named has all kernels, whatever the options ask for. */
export async function driverUnderTest(options: SimulatorOptions = {}): Promise<string> {
  return named ?? buildSimulator(options);
}
