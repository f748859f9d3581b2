// The devices this machine can test, opened once per test file.

import type { Backend, Precision } from "../../src/backend/backend.ts";
import { ISAS, type Isa, usableIsas } from "../../src/backend/cpu/build.ts";
import { createCpuBackend } from "../../src/backend/cpu/index.ts";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { UserError } from "../../src/util/errors.ts";

export interface TestDevice {
  readonly name: string;
  readonly backend: Backend;
}

/** One cpu backend per instruction set and thread count; empty, with a reason on standard error, without a compiler. */
export async function openCpuVariants(
  isas: readonly Isa[],
  threadCounts: readonly number[],
  precision: Precision = "f32",
): Promise<TestDevice[]> {
  const devices: TestDevice[] = [];
  for (const isa of isas) {
    for (const threads of threadCounts) {
      try {
        devices.push({ name: `cpu ${isa} x ${threads}`, backend: await createCpuBackend({ isa, threads, precision }) });
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        console.error(`cpu ${isa} is not tested: ${error.message}`);
      }
    }
  }
  return devices;
}

/** The instruction sets that this processor has; `portable` is always among them. */
export function testIsas(): readonly Isa[] {
  const usable = usableIsas();
  return ISAS.filter((isa) => isa === "portable" || usable.includes(isa));
}

export async function openDevices(): Promise<TestDevice[]> {
  const cpu = await openCpuVariants(usableIsas().slice(0, 1), [2]);
  return [{ name: "reference", backend: createReferenceBackend() }, ...cpu];
}
