import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { loadModel, saveModel } from "../../src/models/checkpoint.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { loadWeights } from "../../src/models/hugging-face.ts";
import { wholeWindow } from "../../src/models/language-model.ts";
import { TransformerLanguageModel } from "../../src/models/transformer-language-model.ts";
import { readSafetensors } from "../../src/tensor/safetensors.ts";
import { randomIds, tinyModel } from "./tiny.ts";

const backend = createReferenceBackend();
const about = { tokenizer: "sha256:0", training: { steps: 3 }, seed: 4 };
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "stlm-model-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const variants: Partial<ModelConfig>[] = [
  {},
  { positions: "learned", ffn: "gelu" },
  { positions: "sincos", norm: "layer", bias: true, tied: false },
];

test.each(variants)("a saved model is loaded with the same probabilities: %o", async (change) => {
  const model = tinyModel(backend, change, 7);
  saveModel(folder, model, backend, about);
  const loaded = await loadModel(folder, backend);
  expect(loaded.config).toEqual(model.config);
  expect(loaded.about).toMatchObject({ parameters: model.countParameters(), ...about });
  const windows = [randomIds(1, 9), randomIds(2, 17)].map(wholeWindow);
  const before = new TransformerLanguageModel(backend, model).logProbs(windows);
  expect(loaded.languageModel.logProbs(windows)).toEqual(before);
});

test("the file has Hugging Face's names, with fused products split by rows", () => {
  const model = tinyModel(backend, { numLayers: 1 });
  saveModel(folder, model, backend, about);
  const { metadata, tensors } = readSafetensors(path.join(folder, "model.safetensors"));
  expect(metadata).toEqual({ architecture: "transformer", rope_pairs: "adjacent" });
  expect(Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape]))).toEqual({
    "model.embed_tokens.weight": [37, 16],
    "model.layers.0.input_layernorm.weight": [16],
    "model.layers.0.self_attn.q_proj.weight": [16, 16],
    "model.layers.0.self_attn.k_proj.weight": [8, 16],
    "model.layers.0.self_attn.v_proj.weight": [8, 16],
    "model.layers.0.self_attn.o_proj.weight": [16, 16],
    "model.layers.0.post_attention_layernorm.weight": [16],
    "model.layers.0.mlp.gate_proj.weight": [24, 16],
    "model.layers.0.mlp.up_proj.weight": [24, 16],
    "model.layers.0.mlp.down_proj.weight": [16, 24],
    "model.norm.weight": [16],
  });
  const fused = backend.read(model.blocks[0]!.attention.qkv.weight.value);
  expect(tensors.get("model.layers.0.self_attn.k_proj.weight")!.read()).toEqual(fused.slice(16 * 16, 24 * 16));
});

test("weights of another model are refused by name or shape", async () => {
  const [weights, config] = ["model.safetensors", "config.json"].map((name) => path.join(folder, name)) as [
    string,
    string,
  ];
  const save = (change: Partial<ModelConfig>) => saveModel(folder, tinyModel(backend, change), backend, about);
  save({ numLayers: 1 });
  const small = readFileSync(weights);
  save({});
  writeFileSync(weights, small);
  await expect(loadModel(folder, backend)).rejects.toThrow("it has no model.layers.1.input_layernorm.weight");
  const whole = tinyModel(backend, {}, 9);
  const valuesOf = () => whole.parameters().map(([, { value }]) => backend.read(value));
  const before = valuesOf();
  expect(() => loadWeights(weights, whole, backend)).toThrow("it has no model.layers.1");
  expect(valuesOf()).toEqual(before);
  save({ ffnDim: 23 });
  const narrow = readFileSync(weights);
  save({});
  writeFileSync(weights, narrow);
  await expect(loadModel(folder, backend)).rejects.toThrow("gate_proj.weight is (23, 16), the model has (24, 16)");
  writeFileSync(config, "{}");
  await expect(loadModel(folder, backend)).rejects.toMatchObject({ code: "BAD_MODEL" });
});
