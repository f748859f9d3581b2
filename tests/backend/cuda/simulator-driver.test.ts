// The simulated driver where tests of the device rely on its honesty: handles, capture, memory, work that runs late, sticky errors.

import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  DRIVER_SIGNATURES,
  HostBlock,
  type NativeFunction,
  NativeLibrary,
  textAt,
} from "../../../src/backend/cuda/driver/api.ts";
import { buildSimulator } from "../../../src/backend/cuda/simulator/build.ts";
import { simulatorUnavailable } from "./driver-under-test.ts";

const unavailable = simulatorUnavailable();

const [SUCCESS, INVALID_VALUE, OUT_OF_MEMORY, NOT_INITIALIZED] = [0, 1, 2, 3];
const [INVALID_CONTEXT, INVALID_HANDLE, NOT_FOUND, NOT_READY] = [201, 400, 500, 600];
const [NO_BINARY, INVALID_PTX, UNSUPPORTED_PTX] = [209, 218, 222];
const [ILLEGAL_ADDRESS, CAPTURE_UNSUPPORTED, CAPTURE_INVALIDATED, CAPTURE_UNMATCHED] = [700, 900, 901, 903];

const CONTROLS = {
  cudasimReset: "",
  cudasimSetDeferred: "i",
  cudasimSetMemory: "p",
  cudasimInjectFailure: "pui",
  cudasimMessage: "",
} as const;
const FURTHER = {
  cuCtxSynchronize: "",
  cuStreamQuery: "p",
  cuStreamWaitEvent: "ppu",
  cuMemcpyDtoDAsync_v2: "pppp",
} as const;
const SIGNATURES = { ...DRIVER_SIGNATURES, ...CONTROLS, ...FURTHER };
type Name = keyof typeof SIGNATURES;

describe.skipIf(unavailable)(`the simulated driver${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  const functions = new Map<string, NativeFunction>();
  const out = new HostBlock(64);
  const host = new HostBlock(4096);
  const call = (name: Name, ...args: (number | bigint)[]): number => functions.get(name)!(...args);

  /** The handle or address that a call writes through its first argument. */
  const made = (name: Name, ...args: (number | bigint)[]): bigint => {
    expect(call(name, out.address, ...args), name).toBe(SUCCESS);
    return out.view.getBigUint64(0, true);
  };
  const text = (value: string): HostBlock => {
    const block = new HostBlock(value.length + 1);
    new Uint8Array(block.view.buffer).set(new TextEncoder().encode(`${value}\0`));
    return block;
  };
  const load = (ptx: string): number => call("cuModuleLoadDataEx", out.address, text(ptx).address, 0, 0n, 0n);
  const PTX = ".version 7.8\n.target sm_80\n";
  const firstFloat = (address: bigint): number => {
    expect(call("cuMemcpyDtoHAsync_v2", host.address, address, 4, 0n)).toBe(SUCCESS);
    return host.view.getFloat32(0, true);
  };

  /** The executable graph of what `body` queues. */
  const captured = (stream: bigint, body: () => void): bigint => {
    expect(call("cuStreamBeginCapture_v2", stream, 0)).toBe(SUCCESS);
    body();
    expect(call("cuStreamEndCapture", stream, out.address)).toBe(SUCCESS);
    return made("cuGraphInstantiateWithFlags", out.view.getBigUint64(0, true), 0);
  };

  beforeAll(async () => {
    const library = new NativeLibrary(await buildSimulator({ kernels: ["elementwise.cu"] }));
    for (const [name, types] of Object.entries(SIGNATURES)) functions.set(name, library.bind(name, types)!);
    functions.set("cudasimMessage", library.bind("cudasimMessage", "", "p")!);
  });
  beforeEach(() => {
    call("cudasimReset");
    call("cuInit", 0);
    call("cuCtxSetCurrent", made("cuDevicePrimaryCtxRetain", 0));
  });

  test("wants to be initialised, and a context that is current", () => {
    call("cudasimReset");
    expect(call("cuDeviceGetCount", out.address)).toBe(NOT_INITIALIZED);
    call("cuInit", 0);
    expect(call("cuMemAlloc_v2", out.address, 4)).toBe(INVALID_CONTEXT);
  });

  test("fresh memory is full of NaNs, and there is only so much of it", () => {
    const address = made("cuMemAlloc_v2", 4096);
    expect(address % 256n).toBe(0n);
    expect(firstFloat(address)).toBeNaN();
    call("cudasimSetMemory", 8192);
    expect(call("cuMemAlloc_v2", out.address, 4097)).toBe(OUT_OF_MEMORY);
    expect(call("cuMemFree_v2", address)).toBe(SUCCESS);
    expect(call("cuMemFree_v2", address)).toBe(INVALID_VALUE);
    expect(call("cuMemAlloc_v2", out.address, 8192)).toBe(SUCCESS);
  });

  test("copies and fills stay within an allocation", () => {
    const address = made("cuMemAlloc_v2", 64);
    expect(call("cuMemsetD8Async", address, 0, 65, 0n)).toBe(INVALID_VALUE);
    expect(call("cuMemcpyHtoDAsync_v2", address + 60n, host.address, 8, 0n)).toBe(INVALID_VALUE);
    expect(call("cuMemcpyDtoDAsync_v2", address, address + 32n, 33, 0n)).toBe(INVALID_VALUE);
    expect(call("cuMemsetD8Async", address + 32n, 0, 32, 0n)).toBe(SUCCESS);
  });

  test("knows its handles", () => {
    expect(call("cuStreamSynchronize", 12_345n)).toBe(INVALID_HANDLE);
    expect(call("cuEventRecord", 12_345n, 0n)).toBe(INVALID_HANDLE);
    expect(call("cuLaunchKernel", 12_345n, 1, 1, 1, 1, 1, 1, 0, 0n, 0n, 0n)).toBe(INVALID_HANDLE);
    expect(call("cuGraphLaunch", 12_345n, 0n)).toBe(INVALID_VALUE);
    const stream = made("cuStreamCreate", 1);
    expect(call("cuStreamDestroy_v2", stream)).toBe(SUCCESS);
    expect(call("cuStreamDestroy_v2", stream)).toBe(INVALID_HANDLE);
  });

  test("a module offers the kernels of its text, if the text is for this driver and this GPU", () => {
    expect(load("no PTX at all .version")).toBe(INVALID_PTX);
    expect(load(PTX.replace("7.8", "9.9"))).toBe(UNSUPPORTED_PTX);
    expect(load(PTX.replace("sm_80", "sm_90"))).toBe(NO_BINARY);
    expect(load(`${PTX}.visible .entry add_f32(\n)`)).toBe(SUCCESS);
    const module = out.view.getBigUint64(0, true);
    expect(call("cuModuleGetFunction", out.address, module, text("add_f32").address)).toBe(SUCCESS);
    expect(call("cuModuleGetFunction", out.address, module, text("fill_32").address)).toBe(NOT_FOUND);
    expect(call("cuModuleGetFunction", out.address, module, text("no_such").address)).toBe(NOT_FOUND);
  });

  test("captured work runs when the graph is launched, as often as it is", () => {
    const stream = made("cuStreamCreate", 1);
    const [a, b] = [made("cuMemAlloc_v2", 4), made("cuMemAlloc_v2", 4)];
    const run = captured(stream, () => call("cuMemcpyDtoDAsync_v2", b, a, 4, stream));
    expect(firstFloat(b)).toBeNaN();
    for (const byte of [0x3f, 0x40]) {
      call("cuMemsetD8Async", a, byte, 4, stream);
      expect(call("cuGraphLaunch", run, stream)).toBe(SUCCESS);
      expect(firstFloat(b)).toBe(firstFloat(a));
    }
    expect(call("cuGraphExecDestroy", run)).toBe(SUCCESS);
    expect(call("cuGraphLaunch", run, stream)).toBe(INVALID_VALUE);
  });

  test("what waits or allocates spoils a capture", () => {
    const stream = made("cuStreamCreate", 1);
    expect(call("cuStreamEndCapture", stream, out.address)).toBe(CAPTURE_UNMATCHED);
    for (const misuse of [
      () => call("cuStreamSynchronize", stream),
      () => call("cuMemAlloc_v2", out.address, 4),
      () => call("cuCtxSynchronize"),
      () => load(PTX),
    ]) {
      call("cuStreamBeginCapture_v2", stream, 0);
      expect(misuse()).toBe(CAPTURE_UNSUPPORTED);
      expect(call("cuStreamEndCapture", stream, out.address)).toBe(CAPTURE_INVALIDATED);
      expect(out.view.getBigUint64(0, true)).toBe(0n);
    }
    expect(call("cuStreamSynchronize", stream)).toBe(SUCCESS);
  });

  test("work that is deferred runs when something waits, and reads pinned memory only then", () => {
    const stream = made("cuStreamCreate", 1);
    const event = made("cuEventCreate", 0);
    const address = made("cuMemAlloc_v2", 8);
    const pinned = made("cuMemHostAlloc", 8, 0);
    call("cudasimSetDeferred", 1);
    host.view.setFloat32(0, 1, true);
    call("cuMemcpyHtoDAsync_v2", address, host.address, 4, stream); // pageable: read when it is queued
    host.view.setFloat32(0, 2, true);
    call("cuMemcpyDtoHAsync_v2", pinned, address, 4, stream);
    call("cuMemcpyHtoDAsync_v2", address + 4n, pinned, 4, stream);
    call("cuEventRecord", event, stream);
    expect(call("cuEventQuery", event)).toBe(NOT_READY);
    expect(call("cuEventSynchronize", event)).toBe(SUCCESS);
    expect(call("cuEventQuery", event)).toBe(SUCCESS);
    expect([firstFloat(address), firstFloat(address + 4n)]).toEqual([1, 1]);
  });

  test("a kernel's error stays until the context ends", () => {
    expect(load(PTX)).toBe(SUCCESS);
    const fill = made("cuModuleGetFunction", out.view.getBigUint64(0, true), text("fill_32").address);
    const args = new HostBlock(64);
    const pointers = new HostBlock(64);
    args.view.setInt32(16, 1, true); // of a null pointer, one element
    for (let i = 0; i < 3; i++) pointers.view.setBigUint64(i * 8, args.address + BigInt(i * 8), true);
    expect(call("cuLaunchKernel", fill, 1, 1, 1, 32, 1, 1, 0, 0n, pointers.address, 0n)).toBe(SUCCESS);
    expect(call("cuCtxSynchronize")).toBe(ILLEGAL_ADDRESS);
    expect(call("cuMemAlloc_v2", out.address, 4)).toBe(ILLEGAL_ADDRESS);
    call("cuDevicePrimaryCtxRelease_v2", 0);
    call("cuCtxSetCurrent", made("cuDevicePrimaryCtxRetain", 0));
    expect(call("cuMemAlloc_v2", out.address, 4)).toBe(SUCCESS);
  });

  test("a kernel that is given an address of the host faults, as on a GPU", () => {
    expect(load(PTX)).toBe(SUCCESS);
    const fill = made("cuModuleGetFunction", out.view.getBigUint64(0, true), text("fill_32").address);
    const args = new HostBlock(64);
    const pointers = new HostBlock(64);
    args.view.setBigUint64(0, host.address, true);
    args.view.setInt32(16, 1, true); // one element
    for (let i = 0; i < 3; i++) pointers.view.setBigUint64(i * 8, args.address + BigInt(i * 8), true);
    expect(call("cuLaunchKernel", fill, 1, 1, 1, 32, 1, 1, 0, 0n, pointers.address, 0n)).toBe(SUCCESS);
    expect(call("cuCtxSynchronize")).toBe(ILLEGAL_ADDRESS);
    expect(textAt(BigInt(call("cudasimMessage")))).toBe("fill_32: parameter 0 points to no memory of the device");
  });

  test("the n-th call of a function fails where a test asks for it", () => {
    call("cudasimInjectFailure", text("cuMemAlloc_v2").address, 2, 999);
    expect([1, 2, 3].map(() => call("cuMemAlloc_v2", out.address, 4))).toEqual([SUCCESS, 999, SUCCESS]);
  });
});
