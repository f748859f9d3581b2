// Where the memory of a recorded piece of work lies: each buffer gets a fixed place in one arena, and buffers that are never in
// use at the same time share bytes. Best fit, the longest buffers first   (Pisarchyk & Lee 2020, "greedy by size").

/** A buffer's bytes, and the first and last operation that touch it, both inclusive. */
export interface Lifetime {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export interface MemoryPlan {
  /** Start of each buffer in the arena, in the order of the lifetimes. */
  readonly offsets: readonly number[];
  /** Size of the arena. */
  readonly bytes: number;
}

interface Placed {
  readonly start: number;
  readonly end: number;
  readonly lifetime: Lifetime;
}

/** Offsets are multiples of `alignment`. The same lifetimes give the same plan. */
export function planMemory(lifetimes: readonly Lifetime[], alignment = 256): MemoryPlan {
  const aligned = (bytes: number) => Math.ceil(bytes / alignment) * alignment;
  const order = lifetimes.map((_, index) => index);
  order.sort((a, b) => lifetimes[b]!.bytes - lifetimes[a]!.bytes || lifetimes[a]!.first - lifetimes[b]!.first || a - b);
  const offsets = lifetimes.map(() => 0);
  /** By start. */
  const placed: Placed[] = [];
  let total = 0;
  for (const index of order) {
    const lifetime = lifetimes[index]!;
    if (lifetime.bytes === 0) continue;
    const length = aligned(lifetime.bytes);
    const start = bestGap(
      placed.filter((other) => overlap(other.lifetime, lifetime)),
      length,
    );
    offsets[index] = start;
    const entry = { start, end: start + length, lifetime };
    const place = placed.findIndex((other) => other.start > start);
    placed.splice(place < 0 ? placed.length : place, 0, entry);
    total = Math.max(total, entry.end);
  }
  return { offsets, bytes: total };
}

/** The smallest gap between `neighbours`, which are sorted by start, that holds `length` bytes; else the end of them all. */
function bestGap(neighbours: readonly Placed[], length: number): number {
  let best: { start: number; size: number } | undefined;
  let end = 0;
  for (const neighbour of neighbours) {
    const size = neighbour.start - end;
    if (size >= length && (best === undefined || size < best.size)) best = { start: end, size };
    end = Math.max(end, neighbour.end);
  }
  return best?.start ?? end;
}

function overlap(a: Lifetime, b: Lifetime): boolean {
  return a.first <= b.last && b.first <= a.last;
}
