// One GPU at work: its memory, its stream, what is queued at once and what is recorded.

import type { DeviceBuffer, DType, Recording } from "../backend.ts";
import { asCudaMemory, BYTES, CudaMemory, checkRange } from "./buffer.ts";
import { DevicePool } from "./device-pool.ts";
import type { DeviceDescription, Driver } from "./driver/driver.ts";
import { KernelTable, type ModuleSource } from "./driver/modules.ts";
import { type Graph, Stream } from "./driver/stream.ts";
import type { TuningBench } from "./gemm/autotune.ts";
import { openBench } from "./gemm/bench.ts";
import { refreshCopy } from "./launch/elementwise.ts";
import type { Launch, Launcher, LibraryCall } from "./launcher.ts";
import { Issuer, type Operation } from "./operation.ts";
import type { KernelTimes } from "./profile.ts";
import { Trace } from "./trace.ts";
import { Transfers } from "./transfer.ts";
import { Workspace } from "./workspace.ts";

export interface DeviceOptions {
  readonly modules: readonly ModuleSource[];
  /** Wait after every operation, so that a fault names its kernel; recordings are then issued one by one. */
  readonly check?: boolean;
  /** False: recordings are issued one by one even where the driver has graphs. */
  readonly graphs?: boolean;
  /** Gets the time of every operation; recordings are then issued one by one. */
  readonly profile?: KernelTimes | undefined;
  /** Gets one line where the driver has to compile the kernels first. */
  readonly inform?: ((message: string) => void) | undefined;
}

/** Zeros behind a parameter's bf16 copy: seven more rows of a matrix with up to 4,681 columns (see launch/head-loss.ts). */
const COPY_SLACK = 2 ** 15;

export class CudaDevice {
  readonly launcher: Launcher;
  readonly stream: Stream;
  private readonly handle: number;
  private readonly pool: DevicePool;
  private readonly kernels: KernelTable;
  private readonly issuer: Issuer;
  private readonly workspace: Workspace;
  private readonly transfers: Transfers;
  /** Buffers of their own memory that are not freed; those of recordings come and go with them. */
  private readonly live = new Set<CudaMemory>();
  private trace: Trace | undefined;
  private readonly traced: CudaMemory[] = [];
  /** Buffers from outside that the recording in the making has written so far. */
  private readonly writtenInTrace = new Set<CudaMemory>();
  private isOpen = true;
  /** Why the driver could not make a graph of a recording, the last time that happened; the calls are then issued one by one. */
  graphRefusal: string | undefined;

  constructor(
    private readonly driver: Driver,
    readonly description: DeviceDescription,
    private readonly options: DeviceOptions,
  ) {
    this.handle = driver.number("cuDeviceGet", description.ordinal);
    driver.call("cuCtxSetCurrent", driver.make("cuDevicePrimaryCtxRetain", this.handle));
    this.stream = new Stream(driver);
    this.pool = new DevicePool(driver);
    this.kernels = new KernelTable(driver, options.modules, (file) => {
      const target = `sm_${description.capability}`;
      options.inform?.(
        `Compiling the CUDA kernels for ${target}, once for each version of the NVIDIA driver; this can take half a minute (${file} is done).`,
      );
    });
    const check = options.check ?? false;
    const { profile } = options;
    profile?.attach(this.stream);
    this.issuer = new Issuer({ driver, stream: this.stream, kernels: this.kernels, check, profile });
    this.workspace = new Workspace(this.pool);
    this.transfers = new Transfers(driver, this.stream);
    this.launcher = {
      multiprocessors: description.multiprocessors,
      launch: (launch: Launch) => this.add({ kind: "launch", launch }),
      call: (call: LibraryCall) => this.add({ kind: "call", call }),
      workspace: (bytes: number) => (this.trace ? this.trace.allocate(bytes) : this.workspace.take(bytes)),
    };
  }

  /** Each call of a kernel begins with this: the workspace of the one before is free. */
  beginOperation(): void {
    this.requireOpen();
    if (!this.trace) this.workspace.reset();
  }

  /** Zeros, but in a recording, where contents are undefined. */
  allocate(dtype: DType, length: number): CudaMemory {
    this.requireOpen();
    if (!Number.isInteger(length) || length < 0) throw new RangeError(`allocate: ${length} is not a length`);
    const bytes = length * BYTES[dtype];
    const address = this.trace ? this.trace.allocate(bytes) : this.pool.allocate(bytes);
    const buffer = new CudaMemory(dtype, length, address, this.trace);
    if (this.trace) this.traced.push(buffer);
    else {
      this.live.add(buffer);
      if (bytes > 0) this.add({ kind: "fill", address, bytes, value: 0 });
    }
    return buffer;
  }

  free(target: DeviceBuffer): void {
    const buffer = asCudaMemory(target, "free");
    if (buffer.isFreed) throw new TypeError("free: the buffer was freed before");
    if (buffer.recording === undefined) {
      if (this.trace) throw new Error("free: memory from outside a recording cannot be freed in it");
      this.live.delete(buffer);
      this.pool.free(buffer.address);
      if (buffer.copy !== undefined) this.pool.free(buffer.copy);
    }
    buffer.retire();
  }

  write(target: DeviceBuffer, values: Float32Array | Int32Array, offset = 0): void {
    const buffer = this.outside(target, "write");
    checkRange(buffer, offset, values.length, "write");
    if ((buffer.dtype === "i32") !== values instanceof Int32Array) {
      throw new TypeError(`write: the buffer is ${buffer.dtype}, the values are not`);
    }
    this.transfers.write(buffer.address + BigInt(offset * BYTES[buffer.dtype]), buffer.dtype, values);
    if (buffer.copy !== undefined) this.transfers.write(buffer.copy + BigInt(offset * 2), "bf16", values);
  }

  read(target: DeviceBuffer, offset = 0, length = target.length - offset): Float32Array | Int32Array {
    const buffer = this.outside(target, "read");
    checkRange(buffer, offset, length, "read");
    return this.transfers.read(buffer.address + BigInt(offset * BYTES[buffer.dtype]), buffer.dtype, length);
  }

  async readLater(target: DeviceBuffer, offset = 0, length = target.length - offset) {
    const buffer = this.outside(target, "readLater");
    checkRange(buffer, offset, length, "readLater");
    return this.transfers.readLater(buffer.address + BigInt(offset * BYTES[buffer.dtype]), buffer.dtype, length);
  }

  /**
   * Gives an f32 buffer the bf16 copy that matrix products read, filled. In a recording the copy of a buffer from outside is
   * filled at once, for it outlives the recording.
   */
  ensureCopy(target: DeviceBuffer): void {
    const buffer = asCudaMemory(target, "a kernel");
    if (buffer.dtype !== "f32" || buffer.copy !== undefined) return;
    const bytes = buffer.length * BYTES.bf16;
    const isInside = this.trace !== undefined && buffer.recording === this.trace;
    if (isInside) {
      buffer.copy = this.trace!.allocate(bytes);
    } else {
      const copy = this.pool.allocate(bytes + COPY_SLACK * BYTES.bf16);
      buffer.copy = copy;
      buffer.copySlack = COPY_SLACK;
      this.aside(() => {
        this.add({ kind: "fill", address: copy + BigInt(bytes), bytes: COPY_SLACK * BYTES.bf16, value: 0 });
        this.refresh(buffer);
      });
    }
    if (isInside || this.writtenInTrace.has(buffer)) this.refresh(buffer);
  }

  /** A kernel has written the buffer: its copy, if it has one, follows. `hasCopy` says that the kernel wrote that too. */
  noteWritten(target: DeviceBuffer, hasCopy = false): void {
    const buffer = asCudaMemory(target, "a kernel");
    if (this.trace && buffer.recording === undefined) this.writtenInTrace.add(buffer);
    if (buffer.copy !== undefined && !hasCopy) this.refresh(buffer);
  }

  private refresh(buffer: CudaMemory): void {
    refreshCopy(this.launcher, buffer, buffer.length);
  }

  /** Does `work` at once, also while something is recorded. */
  aside<T>(work: () => T): T {
    const { trace } = this;
    this.trace = undefined;
    try {
      return work();
    } finally {
      this.trace = trace;
    }
  }

  record(body: () => void): Recording {
    this.requireOpen();
    if (this.trace) throw new Error("a recording inside a recording");
    const trace = new Trace();
    this.trace = trace;
    let uncopied: CudaMemory[] = [];
    try {
      body();
    } finally {
      this.trace = undefined;
      uncopied = [...this.writtenInTrace].filter((buffer) => buffer.dtype === "f32" && buffer.copy === undefined);
      for (const buffer of this.traced.splice(0)) buffer.retire();
      this.writtenInTrace.clear();
    }
    const { arenaBytes, placedAt } = trace.finish();
    const arena = arenaBytes > 0 ? this.pool.allocate(arenaBytes) : undefined;
    return this.replayable(placedAt(arena ?? 0n), arena, () => {
      // Of those that the recording writes, a copy that was first asked for afterwards.
      for (const buffer of uncopied) if (buffer.copy !== undefined) this.refresh(buffer);
    });
  }

  memory(): { allocatedBytes: number; peakBytes: number } {
    return this.pool.usage();
  }

  /** For measuring matrix products. */
  bench(): TuningBench {
    const { pool, stream, issuer: queue, options, description } = this;
    return openBench({
      ...{ pool, stream, queue, multiprocessors: description.multiprocessors },
      graphs: (options.graphs ?? true) && !options.check && !options.profile,
    });
  }

  /** All kernels of the modules, for messages and tests. */
  get kernelNames(): readonly string[] {
    return this.kernels.names;
  }

  /** Waits for all work; says nothing of its faults. */
  settle(): void {
    if (this.isOpen) this.driver.status("cuStreamSynchronize", this.stream.handle);
  }

  close(): void {
    if (!this.isOpen) return;
    this.settle();
    this.isOpen = false;
    const { driver } = this;
    this.transfers.close();
    this.options.profile?.detach();
    for (const buffer of this.live) buffer.retire();
    this.live.clear();
    this.pool.close();
    this.kernels.close();
    this.stream.close();
    driver.status("cuDevicePrimaryCtxRelease_v2", this.handle);
  }

  private replayable(operations: readonly Operation[], arena: bigint | undefined, finish: () => void): Recording {
    const issue = () => {
      for (const operation of operations) this.issuer.add(operation);
    };
    const { graphs = true, check, profile } = this.options;
    const mayCapture = graphs && !check && !profile;
    let graph: Graph | undefined;
    let replays = 0;
    let isClosed = false;
    try {
      this.issuer.prepare(operations);
    } catch (error) {
      if (arena !== undefined) this.pool.free(arena);
      throw error;
    }
    return {
      replay: () => {
        this.requireOpen();
        if (isClosed) throw new Error("the recording was closed");
        // Call by call at first: what a library or the driver loads for its first call had better not be captured.
        if (mayCapture && ++replays === 2) {
          const captured = this.stream.capture(issue);
          if ("reason" in captured) this.graphRefusal = captured.reason;
          else graph = captured;
        }
        if (graph) graph.launch();
        else issue();
        finish();
      },
      close: () => {
        if (isClosed) return;
        isClosed = true;
        if (!this.isOpen) return;
        graph?.close();
        if (arena !== undefined) this.pool.free(arena);
      },
    };
  }

  private add(operation: Operation): void {
    this.requireOpen();
    (this.trace ?? this.issuer).add(operation);
  }

  /** Memory of its own, outside of any recording. */
  private outside(target: DeviceBuffer, verb: string): CudaMemory {
    this.requireOpen();
    const buffer = asCudaMemory(target, verb);
    if (this.trace) throw new Error(`${verb}: not in a recording, which would repeat it`);
    return buffer;
  }

  private requireOpen(): void {
    if (!this.isOpen) throw new Error("the cuda device was closed");
  }
}
