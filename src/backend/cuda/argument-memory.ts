// Parameters of a kernel in host memory, as cuLaunchKernel reads them.

import type { KernelArgument } from "./launcher.ts";

/** Writes one parameter at an offset that is a multiple of 8; rows of a table follow each other, each filled up to a multiple of 8. */
export function writeArgument(view: DataView, offset: number, argument: KernelArgument): void {
  switch (argument.type) {
    case "pointer":
      view.setBigUint64(offset, argument.value, true);
      return;
    case "f32":
      view.setFloat32(offset, argument.value, true);
      return;
    case "i32":
      view.setInt32(offset, argument.value, true);
      return;
    case "u32":
      view.setUint32(offset, argument.value, true);
      return;
    case "table": {
      let at = offset;
      for (const row of argument.rows) {
        for (const cell of row) {
          writeArgument(view, at, cell);
          at += cell.type === "pointer" ? 8 : 4;
        }
        at = Math.ceil(at / 8) * 8;
      }
    }
  }
}
