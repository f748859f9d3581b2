// Keys and values of what a model has read, kept so that the next token costs one position instead of all of them.

import type { Backend, DeviceBuffer } from "../backend/backend.ts";
import type { KeyValueCache } from "../backend/kernels.ts";
import type { ModelConfig } from "./config.ts";

export class GenerationCache {
  private positions = 0;
  private readonly layers: readonly DeviceBuffer[];
  private readonly capacity: number;

  /** Room for `batch` sequences of a whole context window. Throws the backend's OUT_OF_MEMORY. */
  constructor(
    private readonly backend: Backend,
    { contextWindow, hiddenDim, numHeads, numKvHeads, numLayers }: ModelConfig,
    batch = 1,
  ) {
    const width = 2 * numKvHeads * (hiddenDim / numHeads);
    this.capacity = contextWindow;
    this.layers = Array.from({ length: numLayers }, () =>
      backend.allocate(backend.activations, batch * contextWindow * width),
    );
  }

  /** Positions read so far, of each sequence. */
  get length(): number {
    return this.positions;
  }

  layer(index: number): KeyValueCache {
    return { keysValues: this.layers[index]!, capacity: this.capacity, firstPosition: this.positions };
  }

  /** Called once all layers have taken in `count` more positions. */
  grow(count: number): void {
    this.positions += count;
  }

  /** Give the memory back. */
  free(): void {
    for (const layer of this.layers) this.backend.free(layer);
  }
}
