// Work that is remembered instead of done: a list of operations on memory that has no place yet. Buffers get addresses in a
// range that no device has; once the list is complete, the plan gives each a place in one arena and the addresses are changed.

import { addressesOf, type Operation, type OperationQueue, relocated } from "./operation.ts";
import { type Lifetime, planMemory } from "./plan.ts";

/** Far above every address of a device (48 to 57 bits). */
const RANGE_START = 1n << 62n;
const ALIGNMENT = 256;

interface Block {
  /** Bytes from the start of the range. */
  readonly start: number;
  readonly bytes: number;
  /** Operations that touch it; undefined for a block that none does. */
  first?: number;
  last?: number;
}

export class Trace implements OperationQueue {
  private readonly operations: Operation[] = [];
  /** By start. */
  private readonly blocks: Block[] = [];
  private end = 0;

  /** An address that means something only in this trace. Never handed out twice. */
  allocate(bytes: number): bigint {
    const block = { start: this.end, bytes };
    this.blocks.push(block);
    // One more step between two blocks, so that an address just past one is not in the next.
    this.end += (Math.ceil(bytes / ALIGNMENT) + 1) * ALIGNMENT;
    return RANGE_START + BigInt(block.start);
  }

  add(operation: Operation): void {
    const index = this.operations.length;
    this.operations.push(operation);
    for (const address of addressesOf(operation)) {
      const block = this.blockAt(address);
      if (!block) continue;
      block.first ??= index;
      block.last = index;
    }
  }

  /** Bytes of the arena, and the operations once it lies at an address. */
  finish(): { readonly arenaBytes: number; readonly placedAt: (arena: bigint) => Operation[] } {
    const used = this.blocks.filter((block) => block.first !== undefined);
    const lifetimes = used.map(({ bytes, first, last }): Lifetime => ({ bytes, first: first!, last: last! }));
    const plan = planMemory(lifetimes, ALIGNMENT);
    const offsets = new Map(used.map((block, i) => [block, plan.offsets[i]!]));
    return {
      arenaBytes: plan.bytes,
      placedAt: (arena) =>
        this.operations.map((operation) =>
          relocated(operation, (address) => {
            const block = this.blockAt(address);
            if (!block) return address;
            const inside = Number(address - RANGE_START) - block.start;
            return arena + BigInt(offsets.get(block)! + inside);
          }),
        ),
    };
  }

  /** The block that holds the address, by bisection; undefined for memory that has its place. */
  private blockAt(address: bigint): Block | undefined {
    if (address < RANGE_START) return undefined;
    const at = Number(address - RANGE_START);
    let [low, high] = [0, this.blocks.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.blocks[middle]!.start <= at) low = middle;
      else high = middle - 1;
    }
    const block = this.blocks[low];
    if (!block || at - block.start > block.bytes)
      throw new Error("an address in a recording belongs to no buffer of it");
    return block;
  }
}
