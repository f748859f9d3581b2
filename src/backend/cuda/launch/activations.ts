// Launches of kernels/activations.cu: SwiGLU and GELU.

import type { GeluArgs, GeluGradientArgs, SwigluArgs, SwigluGradientArgs } from "../../kernels.ts";
import type { KernelArgument, Launcher } from "../launcher.ts";
import { address, elementType, i32, launchOverElements, u32 } from "./arguments.ts";

/** The kernels count elements in 32 bits. */
function matrixSize(N: number, F: number, name: string): { N: KernelArgument; F: KernelArgument; length: number } {
  i32(N * F, `${name}: N F`);
  return { N: u32(N, `${name}.N`), F: u32(F, `${name}.F`), length: N * F };
}

export function launchSwiglu(launcher: Launcher, { y, x, N, F }: SwigluArgs): void {
  const type = elementType(y, "swiglu.y");
  const size = matrixSize(N, F, "swiglu");
  launchOverElements(launcher, `swiglu_${type}`, { length: size.length, type }, [
    address(y, type, N * F, "swiglu.y"),
    address(x, type, N * 2 * F, "swiglu.x"),
    size.N,
    size.F,
  ]);
}

export function launchSwigluGradient(launcher: Launcher, { dx, dy, x, N, F }: SwigluGradientArgs): void {
  const type = elementType(dx, "swigluGradient.dx");
  const size = matrixSize(N, F, "swigluGradient");
  launchOverElements(launcher, `swiglu_gradient_${type}`, { length: size.length, type }, [
    address(dx, type, N * 2 * F, "swigluGradient.dx"),
    address(dy, type, N * F, "swigluGradient.dy"),
    address(x, type, N * 2 * F, "swigluGradient.x"),
    size.N,
    size.F,
  ]);
}

export function launchGelu(launcher: Launcher, { y, x, length }: GeluArgs): void {
  const type = elementType(y, "gelu.y");
  launchOverElements(launcher, `gelu_${type}`, { length, type }, [
    address(y, type, length, "gelu.y"),
    address(x, type, length, "gelu.x"),
    u32(length, "gelu.length"),
  ]);
}

export function launchGeluGradient(launcher: Launcher, { dx, dy, x, length }: GeluGradientArgs): void {
  const type = elementType(dx, "geluGradient.dx");
  launchOverElements(launcher, `gelu_gradient_${type}`, { length, type }, [
    address(dx, type, length, "geluGradient.dx"),
    address(dy, type, length, "geluGradient.dy"),
    address(x, type, length, "geluGradient.x"),
    u32(length, "geluGradient.length"),
  ]);
}
