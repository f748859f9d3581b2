// Scratch memory of one operation. The next operation uses the same memory: on one stream it runs after this one.

import type { DevicePool } from "./device-pool.ts";

const ALIGNMENT = 256;

interface Piece {
  readonly address: bigint;
  readonly bytes: number;
}

export class Workspace {
  private pieces: Piece[] = [];
  private used = 0;

  constructor(private readonly pool: DevicePool) {}

  /** The next operation begins. What took several pieces is one the next time. */
  reset(): void {
    this.used = 0;
    if (this.pieces.length < 2) return;
    const bytes = this.pieces.reduce((sum, piece) => sum + piece.bytes, 0);
    this.release();
    this.pieces = [{ address: this.pool.allocate(bytes), bytes }];
  }

  take(bytes: number): bigint {
    const last = this.pieces.at(-1);
    const length = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    if (last && this.used + length <= last.bytes) {
      const address = last.address + BigInt(this.used);
      this.used += length;
      return address;
    }
    const piece = { address: this.pool.allocate(length), bytes: length };
    this.pieces.push(piece);
    this.used = length;
    return piece.address;
  }

  release(): void {
    for (const piece of this.pieces.splice(0)) this.pool.free(piece.address);
  }
}
