// The paper's transformer, top to bottom: embedder, core model of pre-norm blocks, head   (Hillier et al. 2024,
// section 4.1 and table 1). Every row of table 2 is a ModelConfig of this file.
//
//   x = embed(ids) [+ positions]                  embedder
//   x = x + attention(norm(x))                    core model, numLayers times
//   x = x + feedForward(norm(x))
//   logits = norm(x) E^T                          head, E shared with the embedder where tied

import {
  CausalSelfAttention,
  createNorm,
  Embedding,
  FeedForward,
  type InitScheme,
  initSchemes,
  Module,
  type Norm,
  sinusoidalTable,
} from "../nn/index.ts";
import { dropout, headLoss, linear } from "../tensor/ops/index.ts";
import { Parameter, type Tensor } from "../tensor/tensor.ts";
import type { ModelConfig } from "./config.ts";

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
  forward(ids: Tensor): Tensor {
    return dropout(this.tokens.forward(ids), this.config.dropout);
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

  /** (B, T, C) -> (B, T, C). */
  forward(x: Tensor): Tensor {
    const y = this.attention.forward(this.attentionNorm.forward(x), x);
    return this.feedForward.forward(this.feedForwardNorm.forward(y), y);
  }
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

  /** Shapes only: call `allocate` before the first pass. */
  constructor(readonly config: ModelConfig) {
    super();
    const scheme = initSchemes[config.init];
    this.embedder = new Embedder(config, scheme);
    this.blocks = Array.from({ length: config.numLayers }, () => new Block(config, scheme));
    this.head = new Head(config, scheme, this.embedder.tokens.weight);
  }

  /** ids (B, T), T <= contextWindow -> (B, T, C), ready for the output projection. */
  hidden(ids: Tensor): Tensor {
    if (ids.width > this.config.contextWindow) {
      throw new RangeError(
        `A sequence of ${ids.width} tokens does not fit a context window of ${this.config.contextWindow}`,
      );
    }
    let x = this.embedder.forward(ids);
    for (const block of this.blocks) x = x.tape.tidy(() => block.forward(x));
    return this.head.norm.forward(x);
  }

  /** Nats per target: ids and targets (B, T) -> (B, T); a target of -1 gives 0. See `headLoss` for the gradient. */
  losses(ids: Tensor, targets: Tensor, gradientScale?: number): Tensor {
    return headLoss(this.hidden(ids), this.head.weight, targets, gradientScale);
  }

  /** (..., C) from `hidden` -> (..., V). */
  logits(hidden: Tensor): Tensor {
    return linear(hidden, this.head.weight);
  }
}
