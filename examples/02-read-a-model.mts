// Opens a trained model and prints how it finds a sentence, token by token, and what it would say next:
// `npx tsx examples/02-read-a-model.mts MODEL TOKENIZER [TEXT]`. Both are folders that stages wrote; after a `repro` they are
// artifacts/latest/train.model=baseline,seed=1 and artifacts/latest/tokens/tokenizer.

import { openBackend } from "stlm-pipeline/backend";
import { loadTokenizer } from "stlm-pipeline/data";
import { generate, loadModel, wholeWindow } from "stlm-pipeline/models";

const [modelFolder, tokenizerFolder, text = "Once upon a time there was a king."] = process.argv.slice(2);
if (modelFolder === undefined || tokenizerFolder === undefined) throw new Error("Give a model and a tokenizer folder.");

const tokenizer = loadTokenizer(tokenizerFolder);
const backend = await openBackend("auto");
const { model, about, languageModel } = await loadModel(modelFolder, backend);
console.log(`${about.parameters} parameters, context window ${about.model.contextWindow}`);

// A document starts after an end-of-text id, so even the first token has something before it.
const ids = Int32Array.from([tokenizer.endOfText, ...tokenizer.encode(text)]).slice(0, languageModel.contextWindow + 1);
const [logProbs] = languageModel.logProbs([wholeWindow(ids)]);
for (const [t, logProb] of logProbs!.entries()) {
  console.log(`${logProb.toFixed(3).padStart(9)}  ${JSON.stringify(tokenizer.decode([ids[t + 1]!]))}`);
}
const nats = -logProbs!.reduce((sum, logProb) => sum + logProb, 0);
console.log(`${(nats / Math.LN2 / Buffer.byteLength(text)).toFixed(3)} bits per byte`);

const options = { maxTokens: 40, temperature: 0.8, topP: 0.95, seed: 1, stopAt: tokenizer.endOfText };
console.log(text + tokenizer.decode([...generate(model, backend, ids, options)]));
backend.close();
