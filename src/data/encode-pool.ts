// Worker threads that encode blocks. Each has at most two: one at work and one waiting.

import type { Worker } from "node:worker_threads";
import type { EncodeBlock } from "./encode-block.ts";
import { type EncodeRequest, startEncodeWorker } from "./encode-worker.ts";
import type { Tokenizer } from "./tokenizers/tokenizer.ts";

interface Waiting {
  resolve(): void;
  reject(error: unknown): void;
}

interface Member {
  readonly worker: Worker;
  /** Of the blocks that it has, in the order in which they were given. */
  readonly waiting: Waiting[];
}

export class EncodePool {
  private failure: unknown;
  private isClosed = false;

  private constructor(
    private readonly members: readonly Member[],
    private readonly signal: AbortSignal,
  ) {
    for (const member of members) {
      // None waits where a failure or the abort was told meanwhile.
      member.worker.on("message", () => member.waiting.shift()?.resolve());
      member.worker.on("error", (error) => this.fail(error));
      member.worker.on("exit", (code) => this.fail(new Error(`An encoding worker ended with exit code ${code}`)));
    }
    signal.addEventListener("abort", this.onAbort, { once: true });
  }

  /** Aborting `signal` fails every block that is not done, with the signal's reason. */
  static async start(tokenizer: Tokenizer, workers: number, signal: AbortSignal): Promise<EncodePool> {
    signal.throwIfAborted();
    const started = await Promise.all(Array.from({ length: workers }, () => startEncodeWorker(tokenizer)));
    return new EncodePool(
      started.map((worker) => ({ worker, waiting: [] })),
      signal,
    );
  }

  /** How many blocks keep every worker busy. */
  get capacity(): number {
    return 2 * this.members.length;
  }

  /** Gives the block to the worker with the least to do. Rejects with what that worker died of. */
  encode({ memory, numParts }: EncodeBlock): Promise<void> {
    const member = this.members.reduce((best, next) => (next.waiting.length < best.waiting.length ? next : best));
    const done = new Promise<void>((resolve, reject) => {
      if (this.isClosed || this.failure !== undefined) reject(this.failure ?? new Error("The workers were closed"));
      else {
        member.waiting.push({ resolve, reject });
        member.worker.postMessage({ memory, numParts } satisfies EncodeRequest);
      }
    });
    done.catch(() => {}); // whoever waits for an earlier block hears of the failure first
    return done;
  }

  /** Ends the workers, whatever they do. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.signal.removeEventListener("abort", this.onAbort);
    await Promise.all(this.members.map(({ worker }) => worker.terminate()));
  }

  private readonly onAbort = () => this.fail(this.signal.reason);

  private fail(error: unknown): void {
    if (this.isClosed) return;
    this.failure ??= error;
    for (const { waiting } of this.members) for (const { reject } of waiting.splice(0)) reject(this.failure);
  }
}
