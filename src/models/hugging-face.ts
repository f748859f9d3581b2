// Weights on disk under the names of Hugging Face's Llama, where they fit: our fused products are split by rows on the
// way out and joined on the way in. One thing differs and is said in the metadata: our rotary pairs are adjacent rows
// (2i, 2i+1) of a head, theirs are i and i + headDim/2, so their loader needs the rows of q_proj and k_proj permuted.

import type { Backend } from "../backend/backend.ts";
import { readSafetensors, type TensorSource, writeSafetensors } from "../tensor/safetensors.ts";
import { formatShape, type Shape } from "../tensor/shape.ts";
import type { Parameter } from "../tensor/tensor.ts";
import { UserError } from "../util/errors.ts";
import type { ModelConfig } from "./config.ts";
import type { Transformer } from "./transformer.ts";

/** Some rows of one of our parameters, and what they are called in the file. */
interface Part {
  readonly name: string;
  readonly shape: Shape;
  /** First element within the parameter. */
  readonly offset: number;
}

/** Write model.safetensors. The same weights always give the same bytes. Throws the system's error. */
export function saveWeights(path: string, model: Transformer, backend: Backend): void {
  const tensors = model.parameters().flatMap(([name, parameter]) =>
    partsOf(name, parameter, model.config).map((part): TensorSource => {
      const length = part.shape.reduce((product, size) => product * size, 1);
      const read = () => backend.read(parameter.value, part.offset, length) as Float32Array;
      return { name: part.name, shape: part.shape, read };
    }),
  );
  writeSafetensors(path, tensors, { architecture: "transformer", rope_pairs: "adjacent" });
}

/**
 * Fill an allocated model from such a file. Throws a UserError BAD_SAFETENSORS for a damaged file, WRONG_WEIGHTS where names or
 * shapes are not the model's, which then keeps its weights, and the system's error where there is no such file.
 */
export function loadWeights(path: string, model: Transformer, backend: Backend): void {
  const { tensors } = readSafetensors(path);
  const unused = new Set(tensors.keys());
  const writes: (() => void)[] = [];
  for (const [name, parameter] of model.parameters()) {
    for (const part of partsOf(name, parameter, model.config)) {
      const tensor = tensors.get(part.name);
      if (!tensor) throw wrongWeights(path, `it has no ${part.name}`);
      if (formatShape(tensor.shape) !== formatShape(part.shape)) {
        throw wrongWeights(
          path,
          `${part.name} is ${formatShape(tensor.shape)}, the model has ${formatShape(part.shape)}`,
        );
      }
      writes.push(() => backend.write(parameter.value, tensor.read(), part.offset));
      unused.delete(part.name);
    }
  }
  if (unused.size > 0) throw wrongWeights(path, `the model has no ${[...unused].sort()[0]}`);
  for (const write of writes) write();
}

/** `blocks.3.attention.qkv.weight` -> the rows of model.layers.3.self_attn.q_proj, k_proj and v_proj. */
function partsOf(name: string, parameter: Parameter, config: ModelConfig): Part[] {
  const [, block, layer, kind] = /^(?:blocks\.(\d+)\.)?(.+)\.(weight|bias|positions)$/.exec(name) ?? [];
  const prefix = block === undefined ? "" : `model.layers.${block}.`;
  const targets = layer === undefined ? undefined : layerTargets(layer, kind!, config);
  if (!targets) throw new Error(`Parameter ${name} has no name in the file`);
  const rowLength = parameter.length / parameter.shape[0]!;
  let row = 0;
  return targets.map(([target, rows = parameter.shape[0]!]) => {
    const part = {
      name: `${prefix}${target}.${kind === "positions" ? "weight" : kind}`,
      shape: [rows, ...parameter.shape.slice(1)],
      offset: row * rowLength,
    };
    row += rows;
    return part;
  });
}

/** Names in the file and how many rows each takes; all rows where no number stands. */
function layerTargets(layer: string, kind: string, config: ModelConfig): (readonly [string, number?])[] | undefined {
  const { hiddenDim: C, numHeads, numKvHeads, ffn, ffnDim: F } = config;
  const kvDim = (C / numHeads) * numKvHeads;
  switch (layer) {
    case "embedder.tokens":
      return [[kind === "positions" ? "model.embed_positions" : "model.embed_tokens"]];
    case "attentionNorm":
      return [["input_layernorm"]];
    case "attention.qkv":
      return [
        ["self_attn.q_proj", C],
        ["self_attn.k_proj", kvDim],
        ["self_attn.v_proj", kvDim],
      ];
    case "attention.output":
      return [["self_attn.o_proj"]];
    case "feedForwardNorm":
      return [["post_attention_layernorm"]];
    case "feedForward.input":
      return ffn === "gelu"
        ? [["mlp.up_proj"]]
        : [
            ["mlp.gate_proj", F],
            ["mlp.up_proj", F],
          ];
    case "feedForward.output":
      return [["mlp.down_proj"]];
    case "head.norm":
      return [["model.norm"]];
    case "head":
      return [["lm_head"]];
    default:
      return undefined;
  }
}

function wrongWeights(path: string, what: string): UserError {
  return new UserError(`${path} does not hold this model's weights: ${what}`, {
    code: "WRONG_WEIGHTS",
    where: { file: path },
    hint: "config.json and model.safetensors must come from the same run.",
  });
}
