// What can be queued on the device's stream: kernels, fills and calls of a library. The same list of operations is issued
// at once, or remembered, moved to its place in memory and repeated.

import { writeArgument } from "./argument-memory.ts";
import { HostBlock } from "./driver/api.ts";
import type { Driver } from "./driver/driver.ts";
import type { KernelTable } from "./driver/modules.ts";
import type { Stream } from "./driver/stream.ts";
import type { KernelArgument, Launch, LibraryCall, PlainArgument } from "./launcher.ts";
import type { KernelTimes } from "./profile.ts";

export type Operation =
  | { readonly kind: "launch"; readonly launch: Launch }
  | { readonly kind: "fill"; readonly address: bigint; readonly bytes: number; readonly value: number }
  | { readonly kind: "call"; readonly call: LibraryCall };

/** Something that takes operations in the order in which they are to run. */
export interface OperationQueue {
  add(operation: Operation): void;
}

/** Every address that the operation reads or writes; null pointers too. */
export function addressesOf(operation: Operation): bigint[] {
  switch (operation.kind) {
    case "launch":
      return operation.launch.args.flatMap(pointersOf);
    case "fill":
      return [operation.address];
    case "call":
      return [...operation.call.addresses];
  }
}

function pointersOf(argument: KernelArgument): bigint[] {
  if (argument.type === "table") return argument.rows.flat().flatMap(pointersOf);
  return argument.type === "pointer" ? [argument.value] : [];
}

/** The same operation on other memory. */
export function relocated(operation: Operation, relocate: (address: bigint) => bigint): Operation {
  switch (operation.kind) {
    case "launch": {
      const moveCell = (cell: PlainArgument): PlainArgument =>
        cell.type === "pointer" ? { type: "pointer", value: relocate(cell.value) } : cell;
      const move = (arg: KernelArgument): KernelArgument =>
        arg.type === "table" ? { type: "table", rows: arg.rows.map((row) => row.map(moveCell)) } : moveCell(arg);
      return { kind: "launch", launch: { ...operation.launch, args: operation.launch.args.map(move) } };
    }
    case "fill":
      return { ...operation, address: relocate(operation.address) };
    case "call":
      return { kind: "call", call: { ...operation.call, addresses: operation.call.addresses.map(relocate) } };
  }
}

/** What the time of the operation is added to. */
function nameOf(operation: Operation): string {
  if (operation.kind === "launch") return operation.launch.label ?? operation.launch.kernel;
  return operation.kind === "call" ? operation.call.name : "cuMemsetD8Async";
}

/** CUDA allows 4,096 bytes of parameters. Each begins at a multiple of 8 here, also those of 4 bytes; a table is the last. */
const MOST_ARGUMENTS = 512;
const ARGUMENT_BYTES = 2 * 4096;

export interface IssuerOptions {
  readonly driver: Driver;
  readonly stream: Stream;
  readonly kernels: KernelTable;
  /** Wait after every operation, so that a fault names its kernel. */
  readonly check: boolean;
  /** Gets the time of every operation. */
  readonly profile?: KernelTimes | undefined;
}

/** Hands operations to the driver at once. */
export class Issuer implements OperationQueue {
  private readonly args = new HostBlock(ARGUMENT_BYTES);
  /** Pointers to the arguments: always the same, so that a launch only writes values. */
  private readonly pointers = new HostBlock(MOST_ARGUMENTS * 8);

  constructor(private readonly options: IssuerOptions) {
    for (let i = 0; i < MOST_ARGUMENTS; i++) {
      this.pointers.view.setBigUint64(i * 8, this.args.address + BigInt(i * 8), true);
    }
  }

  /** Compiles what the operations need: under capture the driver refuses to load modules. */
  prepare(operations: readonly Operation[]): void {
    for (const operation of operations) {
      if (operation.kind === "launch") this.options.kernels.find(operation.launch.kernel, operation.launch.sharedBytes);
    }
  }

  add(operation: Operation): void {
    const { stream, check, profile } = this.options;
    if (profile) profile.measure(nameOf(operation), () => this.issue(operation));
    else this.issue(operation);
    if (check) stream.synchronize();
  }

  private issue(operation: Operation): void {
    const { driver, stream } = this.options;
    if (operation.kind === "launch") this.launch(operation.launch);
    else if (operation.kind === "call") operation.call.issue(operation.call.addresses, stream.handle);
    else driver.call("cuMemsetD8Async", operation.address, operation.value, operation.bytes, stream.handle);
  }

  private launch({ kernel, grid, threads, sharedBytes = 0, args }: Launch): void {
    const { driver, stream, kernels } = this.options;
    // Nothing to compute: no rows, say. The driver refuses an empty grid.
    if (grid.some((blocks) => blocks === 0)) return;
    const handle = kernels.find(kernel, sharedBytes);
    for (const [i, argument] of args.entries()) writeArgument(this.args.view, i * 8, argument);
    driver.noteKernel({ kernel, grid, threads });
    const { address } = this.pointers;
    driver.call("cuLaunchKernel", handle, ...grid, threads, 1, 1, sharedBytes, stream.handle, address, 0);
  }
}
