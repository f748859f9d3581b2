// The paper's transformer, top to bottom: embedder, core model of pre-norm blocks, head   (Hillier et al. 2024,
// section 4.1 and table 1). Every row of table 2 is a ModelConfig of this file.
//
//   x = embed(ids) [+ positions]                  embedder
//   x = x + attention(norm(x))                    core model, numLayers times
//   x = x + feedForward(norm(x))
//   logits = norm(x) E^T                          head, E shared with the embedder where tied

import type { KeyValueCache } from "../backend/kernels.ts";
import {
  CausalSelfAttention,
  createNorm,
  Embedding,
  FeedForward,
  type InitScheme,
  initSchemes,
  Module,
  type Norm,
  type RowLayout,
  sinusoidalTable,
} from "../nn/index.ts";
import { dropout, headLoss, linear, selectRows } from "../tensor/ops/index.ts";
import { Parameter, type Tensor } from "../tensor/tensor.ts";
import { type ModelConfig, requireModelConfig } from "./config.ts";
import type { GenerationCache } from "./generation-cache.ts";

/** Token ids to vectors, with positions added where the model adds them. */
class Embedder extends Module {
  readonly tokens: Embedding;

  constructor(
    private readonly config: ModelConfig,
    scheme: InitScheme,
  ) {
    super();
    const { vocabSize: V, hiddenDim: C, contextWindow } = config;
    const positions =
      config.positions === "learned"
        ? new Parameter([contextWindow, C], scheme.positions(C))
        : config.positions === "sincos"
          ? sinusoidalTable(contextWindow, C, scheme.sinusoidScale(C))
          : undefined;
    this.tokens = new Embedding(V, C, scheme.embedding(C, config.tied), positions);
  }

  /** ids (B, T) -> (B, T, C). */
  forward(ids: Tensor, firstPosition?: number): Tensor {
    return dropout(this.tokens.forward(ids, firstPosition), this.config.dropout);
  }
}

/** One pre-norm residual block. */
class Block extends Module {
  readonly attentionNorm: Norm;
  readonly attention: CausalSelfAttention;
  readonly feedForwardNorm: Norm;
  readonly feedForward: FeedForward;

  constructor(config: ModelConfig, scheme: InitScheme) {
    super();
    const { hiddenDim, numHeads, numKvHeads, numLayers, ffnDim, bias } = config;
    this.attentionNorm = createNorm(config.norm, hiddenDim, bias);
    this.attention = new CausalSelfAttention(
      { hiddenDim, numHeads, numKvHeads, rotary: config.positions === "rope", bias, dropout: config.dropout },
      scheme,
      numLayers,
    );
    this.feedForwardNorm = createNorm(config.norm, hiddenDim, bias);
    this.feedForward = new FeedForward({ kind: config.ffn, hiddenDim, ffnDim, bias }, scheme, numLayers);
  }

  /** (B, T, C) -> (B, T, C); with a layout the rows of x -> its positions, which stand in x at `kept` where not all do. */
  forward(x: Tensor, layout?: RowLayout, kept?: Tensor): Tensor {
    const residual = kept ? selectRows(x, kept) : x;
    const y = this.attention.forward(this.attentionNorm.forward(x), residual, layout);
    return this.feedForward.forward(this.feedForwardNorm.forward(y), y);
  }

  /** (B, T, C) -> (B, T, C), where x follows the positions in the cache. */
  continue(x: Tensor, cache: KeyValueCache): Tensor {
    const y = this.attention.forward(this.attentionNorm.forward(x), x, undefined, cache);
    return this.feedForward.forward(this.feedForwardNorm.forward(y), y);
  }
}

/** Sequences that share rows (see RowLayout), and the rows that are wanted of the last block. */
export interface SharedRows extends RowLayout {
  readonly wanted: {
    readonly rows: Tensor; // (W) i32
    readonly positions: Tensor; // (W) i32: a position of each
  };
}

/** The last norm and the output projection. */
class Head extends Module {
  readonly norm: Norm;
  readonly weight: Parameter; // (V, C)

  constructor(config: ModelConfig, scheme: InitScheme, embedding: Parameter) {
    super();
    const { vocabSize: V, hiddenDim: C } = config;
    this.norm = createNorm(config.norm, C, config.bias);
    this.weight = config.tied ? embedding : new Parameter([V, C], scheme.linear(C));
  }
}

export class Transformer extends Module {
  readonly embedder: Embedder;
  readonly blocks: Block[];
  readonly head: Head;

  /** Shapes only: call `allocate` before the first pass. Throws a UserError BAD_MODEL_CONFIG. */
  constructor(readonly config: ModelConfig) {
    super();
    requireModelConfig(config);
    const scheme = initSchemes[config.init];
    this.embedder = new Embedder(config, scheme);
    this.blocks = Array.from({ length: config.numLayers }, () => new Block(config, scheme));
    this.head = new Head(config, scheme, this.embedder.tokens.weight);
  }

  /** ids (B, T), T <= contextWindow -> (B, T, C), or (W, C) of the rows wanted, ready for the output projection. */
  hidden(ids: Tensor, shared?: SharedRows): Tensor {
    if (ids.width > this.config.contextWindow) {
      throw new RangeError(
        `A sequence of ${ids.width} tokens does not fit a context window of ${this.config.contextWindow}`,
      );
    }
    let x = this.embedder.forward(ids);
    if (shared) x = selectRows(x, shared.positions);
    for (const block of this.blocks.slice(0, -1)) x = x.tape.tidy(() => block.forward(x, shared));
    const last = shared && { rowAt: shared.rowAt, positions: shared.wanted.positions };
    x = x.tape.tidy(() => this.blocks.at(-1)!.forward(x, last, shared?.wanted.rows));
    return this.head.norm.forward(x);
  }

  /** The same for ids that follow those in the cache, which takes them in: equal bit for bit to the rows of the whole sequence. */
  continue(ids: Tensor, cache: GenerationCache): Tensor {
    let x = this.embedder.forward(ids, cache.length);
    for (const [index, block] of this.blocks.entries()) x = x.tape.tidy(() => block.continue(x, cache.layer(index)));
    cache.grow(ids.width);
    return this.head.norm.forward(x);
  }

  /** Nats per target: ids and targets (B, T) -> (B, T); a target of -1 gives 0. See `headLoss` for the gradient. */
  losses(ids: Tensor, targets: Tensor, gradientScale?: number): Tensor {
    return this.lossesOf(this.hidden(ids), targets, gradientScale);
  }

  /** The same from (..., C) of `hidden`. */
  lossesOf(hidden: Tensor, targets: Tensor, gradientScale?: number): Tensor {
    return headLoss(hidden, this.head.weight, targets, gradientScale);
  }

  /** (..., C) from `hidden` -> (..., V). */
  logits(hidden: Tensor): Tensor {
    return linear(hidden, this.head.weight);
  }
}
