// The kernels as the package brings them: PTX that the driver compiles for whatever GPU there is.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { UserError } from "../../util/errors.ts";
import type { ModuleSource } from "./driver/modules.ts";
import { ptxFolder } from "./kernel-files.ts";

/** Every PTX file, by name. Throws a UserError in a clone where it was never built. */
export function shippedModules(): ModuleSource[] {
  const files = existsSync(ptxFolder()) ? readdirSync(ptxFolder()).filter((name) => name.endsWith(".ptx")) : [];
  if (files.length === 0) {
    throw new UserError("The cuda device's kernels are not built: there is no PTX in the package.", {
      code: "NO_PTX",
      hint: "Build it with nvcc by `npx tsx scripts/build-ptx.ts`, install the npm package, or choose --device cpu.",
    });
  }
  return files.sort().map((name) => ({ name, ptx: readFileSync(path.join(ptxFolder(), name), "utf8") }));
}

/** Names the kernels in run records and in the autotuner's tables. */
export function kernelDigest(modules: readonly ModuleSource[]): string {
  const hash = createHash("sha256");
  for (const { name, ptx } of modules) hash.update(`${name}\n`).update(ptx);
  return hash.digest("hex").slice(0, 16);
}
