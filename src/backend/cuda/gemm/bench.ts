// Times matrix products on the GPU: work that is done at once, also while something is recorded, on memory of its own.

import type { DevicePool } from "../device-pool.ts";
import type { Stream } from "../driver/stream.ts";
import type { Launcher } from "../launcher.ts";
import type { OperationQueue } from "../operation.ts";
import { Workspace } from "../workspace.ts";
import type { TuningBench } from "./autotune.ts";

export interface BenchOptions {
  readonly pool: DevicePool;
  readonly stream: Stream;
  readonly queue: OperationQueue;
  readonly multiprocessors: number;
  /** Whether work may be captured. */
  readonly graphs: boolean;
}

/** Runs between two events. */
const REPEATS = 8;
const TIMED = 3;

export function openBench({ pool, stream, queue, multiprocessors, graphs }: BenchOptions): TuningBench {
  // Not the operations' own: the one for which something is measured may hold pieces of that.
  const workspace = new Workspace(pool);
  const launcher: Launcher = {
    multiprocessors,
    launch: (launch) => queue.add({ kind: "launch", launch }),
    call: (call) => queue.add({ kind: "call", call }),
    workspace: (bytes) => workspace.take(bytes),
  };
  return {
    launcher,
    scratch: (sizes, use) => {
      const addresses = sizes.map((bytes) => pool.allocate(bytes));
      try {
        return use(addresses);
      } finally {
        for (const address of addresses) pool.free(address);
        workspace.release();
      }
    },
    time: (work) => {
      const run = () => {
        workspace.reset();
        work();
      };
      run(); // loads what has to be loaded, and takes the workspace
      workspace.reset();
      const repeat = () => {
        for (let i = 0; i < REPEATS; i++) run();
      };
      // As a graph, as it will be queued later: called one by one, a short product would take as long as the call.
      const graph = graphs ? stream.capture(repeat) : undefined;
      const queueAll = graph && !("reason" in graph) ? () => graph.launch() : repeat;
      try {
        queueAll();
        const times = Array.from({ length: TIMED }, () => stream.time(queueAll) / REPEATS);
        return times.sort((a, b) => a - b)[Math.floor(TIMED / 2)]!;
      } finally {
        if (graph && !("reason" in graph)) graph.close();
      }
    },
  };
}
