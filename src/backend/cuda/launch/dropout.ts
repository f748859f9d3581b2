// Launch of kernels/dropout.cu.

import type { DropoutArgs } from "../../kernels.ts";
import type { Launcher } from "../launcher.ts";
import { address, dropoutArguments, elementType, launchOverElements, u32 } from "./arguments.ts";

export function launchDropout(launcher: Launcher, { y, x, residual, length, dropout }: DropoutArgs): void {
  const type = elementType(y, "dropout.y");
  launchOverElements(launcher, `dropout_${type}`, { length, type }, [
    address(y, type, length, "dropout.y"),
    address(x, type, length, "dropout.x"),
    address(residual, type, length, "dropout.residual"),
    u32(length, "dropout.length"),
    ...dropoutArguments(dropout, length),
  ]);
}
