// The one stream on which a device does all its work in order, its events, and graphs captured from it.

import type { Driver } from "./driver.ts";
import { CUDA } from "./errors.ts";

/** CU_STREAM_NON_BLOCKING: does not wait for the legacy stream. */
const NON_BLOCKING = 1;
/** CU_STREAM_CAPTURE_MODE_RELAXED: a library may load its kernels while its calls are captured. */
const CAPTURE_RELAXED = 2;
const EVENT_TIMING = 0;
const EVENT_DISABLE_TIMING = 2;

export class Stream {
  readonly handle: bigint;
  private readonly idleEvents: bigint[] = [];

  constructor(private readonly driver: Driver) {
    this.handle = driver.make("cuStreamCreate", NON_BLOCKING);
  }

  /** Waits until all queued work is done; here a kernel's fault shows. */
  synchronize(): void {
    this.driver.call("cuStreamSynchronize", this.handle);
  }

  /** A mark after all that is queued now. */
  mark(): Event {
    const event = this.idleEvents.pop() ?? this.driver.make("cuEventCreate", EVENT_DISABLE_TIMING);
    this.driver.call("cuEventRecord", event, this.handle);
    return new Event(this.driver, event, () => this.idleEvents.push(event));
  }

  /** Milliseconds that the GPU takes for what `work` queues; waits for it. */
  time(work: () => void): number {
    const start = this.timedMark();
    try {
      work();
      const end = this.timedMark();
      try {
        return start.until(end);
      } finally {
        end.close();
      }
    } finally {
      start.close();
    }
  }

  /** A mark whose distance to another one can be asked for. */
  timedMark(): TimedMark {
    const event = this.driver.make("cuEventCreate", EVENT_TIMING);
    this.driver.call("cuEventRecord", event, this.handle);
    return new TimedMark(this.driver, event);
  }

  /**
   * What `work` queues, as a graph; nothing of it runs. Where the driver has no graphs or cannot capture this work, the reason.
   * Throws what `work` throws.
   */
  capture(work: () => void): Graph | { readonly reason: string } {
    const { driver } = this;
    if (!driver.hasGraphs) return { reason: "the driver has no graphs" };
    const refused = (call: string, status: number) => ({ reason: `${call}: ${driver.nameOf(status).name}` });
    const begun = driver.status("cuStreamBeginCapture_v2", this.handle, CAPTURE_RELAXED);
    if (begun !== CUDA.success) return refused("cuStreamBeginCapture_v2", begun);
    let failure: unknown;
    try {
      work();
    } catch (error) {
      failure = error;
    }
    // Always: a stream left in capture refuses everything else.
    const ended = driver.status("cuStreamEndCapture", this.handle, driver.out.address);
    const graph = driver.out.view.getBigUint64(0, true);
    // A call that cannot be captured ends the capture; issued one by one it may well work, and else says why not.
    if (ended !== CUDA.success) return refused("cuStreamEndCapture", ended);
    if (failure !== undefined) {
      driver.status("cuGraphDestroy", graph);
      throw failure;
    }
    const made = driver.status("cuGraphInstantiateWithFlags", driver.out.address, graph, 0);
    const executable = driver.out.view.getBigUint64(0, true);
    driver.status("cuGraphDestroy", graph);
    if (made === CUDA.outOfMemory) throw driver.errorOf(made, "cuGraphInstantiateWithFlags");
    if (made !== CUDA.success) return refused("cuGraphInstantiateWithFlags", made);
    return new Graph(driver, executable, this.handle);
  }

  close(): void {
    for (const event of this.idleEvents.splice(0)) this.driver.status("cuEventDestroy_v2", event);
    this.driver.status("cuStreamDestroy_v2", this.handle);
  }
}

export class Event {
  private reached = false;

  constructor(
    private readonly driver: Driver,
    private readonly handle: bigint,
    private readonly release: () => void,
  ) {}

  /** Whether the work before the mark is done; throws the error of that work. Does not wait. */
  isReached(): boolean {
    if (this.reached) return true;
    const status = this.driver.status("cuEventQuery", this.handle);
    if (status === CUDA.notReady) return false;
    if (status !== CUDA.success) throw this.driver.errorOf(status, "cuEventQuery");
    this.finish();
    return true;
  }

  /** Waits for the work before the mark. */
  wait(): void {
    if (this.reached) return;
    this.driver.call("cuEventSynchronize", this.handle);
    this.finish();
  }

  private finish(): void {
    this.reached = true;
    this.release();
  }
}

export class TimedMark {
  constructor(
    private readonly driver: Driver,
    private readonly handle: bigint,
  ) {}

  /** Milliseconds of the GPU from this mark to a later one; waits for that. */
  until(later: TimedMark): number {
    const { driver } = this;
    driver.call("cuEventSynchronize", later.handle);
    driver.call("cuEventElapsedTime", driver.out.address, this.handle, later.handle);
    return driver.out.view.getFloat32(0, true);
  }

  close(): void {
    this.driver.status("cuEventDestroy_v2", this.handle);
  }
}

/** A captured list of work that one call queues again. */
export class Graph {
  constructor(
    private readonly driver: Driver,
    private readonly executable: bigint,
    private readonly stream: bigint,
  ) {}

  launch(): void {
    this.driver.call("cuGraphLaunch", this.executable, this.stream);
  }

  close(): void {
    this.driver.status("cuGraphExecDestroy", this.executable);
  }
}
