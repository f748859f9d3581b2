// Trains a model on one sentence until it can say it: `npx tsx examples/01-train-a-tiny-model.mts`, a few seconds.

import { openBackend } from "stlm-pipeline/backend";
import { makeTokenizer } from "stlm-pipeline/data";
import { generate, type ModelConfig, Transformer } from "stlm-pipeline/models";
import { Trainer, tokenArray } from "stlm-pipeline/train";

const text = "The quick brown fox jumps over the lazy dog. ".repeat(20);
const tokenizer = await makeTokenizer("bytes", { documents: [] });
const config: ModelConfig = {
  vocabSize: tokenizer.vocabSize,
  ...{ contextWindow: 32, hiddenDim: 32, numLayers: 2, numHeads: 4, numKvHeads: 2, ffnDim: 64 },
  ...{ ffn: "swiglu", positions: "rope", norm: "rms", tied: true, bias: false, init: "default", dropout: 0 },
};

const backend = await openBackend("auto");
const model = new Transformer(config);
model.allocate(backend, { seed: 1, gradients: true });
console.log(`${model.countParameters()} parameters on ${backend.info.name}`);

const trainer = new Trainer(backend, model, tokenArray(tokenizer.encode(text)), {
  ...{ steps: 150, batchTokens: 256, microBatch: 8, contextWindow: config.contextWindow, seed: 1 },
  ...{ learningRate: 1e-2, minLearningRate: 1e-3, warmupSteps: 10, schedule: "cosine", clip: 1 },
  ...{ beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 },
});
while (trainer.step < trainer.options.steps) {
  const { loss } = trainer.runStep();
  if (trainer.step % 50 === 0) console.log(`step ${trainer.step}: ${loss.toFixed(3)} nats per byte`);
}

const prompt = Int32Array.from(tokenizer.encode("The quick "));
const ids = [...generate(model, backend, prompt, { maxTokens: 34, temperature: 0, seed: 1 })];
console.log(`The quick ${tokenizer.decode(ids)}`);
backend.close();
