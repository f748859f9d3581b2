// NVIDIA's management library, where it is present: the driver's version as people know it, and energy.

import { HostBlock, type NativeFunction } from "./api.ts";
import { openLibrary } from "./locate.ts";

const SIGNATURES = {
  nvmlInit_v2: "",
  nvmlShutdown: "",
  nvmlSystemGetDriverVersion: "pu",
  nvmlDeviceGetHandleByIndex_v2: "up",
  nvmlDeviceGetHandleByPciBusId_v2: "pp",
  nvmlDeviceGetTotalEnergyConsumption: "pp",
  nvmlDeviceGetPowerUsage: "pp",
} as const;

type Name = keyof typeof SIGNATURES;

export interface Nvml {
  /** The file it was loaded from. */
  readonly file: string;
  /** `570.86.15`; empty where the library does not tell. */
  readonly driverVersion: string;
  /** Joules since the driver was loaded; undefined on GPUs without the counter. */
  energyJoules(): number | undefined;
  /** Watts now. */
  powerWatts(): number | undefined;
  close(): void;
}

/** NVML for the GPU at a PCI bus id, or the reason why there is none. Nothing else depends on it. */
export function openNvml(busId: string): Nvml | { readonly reason: string } {
  const opened = openLibrary("nvml");
  if (!opened.library) return { reason: opened.reason };
  const { library, file } = opened;
  const functions = Object.fromEntries(
    Object.entries(SIGNATURES).map(([name, types]) => [name, library.bind(name, types)]),
  ) as Partial<Record<Name, NativeFunction>>;
  const out = new HostBlock(256);
  const call = (name: Name, ...args: (number | bigint)[]) => functions[name]?.(...args) ?? -1;
  const status = call("nvmlInit_v2");
  if (status !== 0) return { reason: `${file}: nvmlInit_v2 returned ${status}` };
  const driverVersion = call("nvmlSystemGetDriverVersion", out.address, 96) === 0 ? out.text() : "";

  // In the same block as the results, which the functions below keep alive.
  const busAddress = out.address + 128n;
  new Uint8Array(out.view.buffer, 128).set(new TextEncoder().encode(`${busId.slice(0, 63)}\0`));
  const found =
    busId === ""
      ? call("nvmlDeviceGetHandleByIndex_v2", 0, out.address)
      : call("nvmlDeviceGetHandleByPciBusId_v2", busAddress, out.address);
  const device = found === 0 ? out.view.getBigUint64(0, true) : undefined;
  const read = (name: Name, value: () => number) =>
    device !== undefined && call(name, device, out.address) === 0 ? value() / 1000 : undefined;
  return {
    file,
    driverVersion,
    energyJoules: () => read("nvmlDeviceGetTotalEnergyConsumption", () => Number(out.view.getBigUint64(0, true))),
    powerWatts: () => read("nvmlDeviceGetPowerUsage", () => out.view.getUint32(0, true)),
    close: () => void call("nvmlShutdown"),
  };
}
