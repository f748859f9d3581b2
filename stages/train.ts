// Train one model on one seed: the stage behind every row of the paper's tables.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { openBackend } from "../src/backend/index.ts";
import { mixSchema } from "../src/data/mix.ts";
import { Sampler, type SamplerOptions } from "../src/data/sampler.ts";
import { openShards, type ShardSet } from "../src/data/shards.ts";
import { saveModel } from "../src/models/checkpoint.ts";
import { modelConfigSchema, requireParameterCount } from "../src/models/config.ts";
import { trainingFlopsPerToken } from "../src/models/flops.ts";
import { evaluateHeldOut, leadingDocuments } from "../src/models/held-out.ts";
import { Transformer } from "../src/models/transformer.ts";
import { TransformerLanguageModel } from "../src/models/transformer-language-model.ts";
import { defineStage } from "../src/pipeline/stage.ts";
import { Checkpoints } from "../src/train/checkpoint.ts";
import { dropoutScheduleSchema, hasNoEffect } from "../src/train/dropout-schedules.ts";
import { train } from "../src/train/loop.ts";
import { scheduleNames } from "../src/train/schedules.ts";
import { Trainer } from "../src/train/trainer.ts";
import { canonicalJson, prettyCanonicalJson } from "../src/util/canonical-json.ts";

/** Tokens computed at once where `microBatch` is not given: enough to keep matrix products busy on a CPU, and on a GPU. */
const MICRO_BATCH_TOKENS = { reference: 2048, cpu: 2048, cuda: 16_384 };

const params = z
  .strictObject({
    model: modelConfigSchema,
    steps: z.int().min(1).describe("Updates of the weights"),
    mix: mixSchema.optional().describe("What to draw from, by source and step; anywhere in the train split if absent"),
    batchTokens: z.int().min(1).describe("Tokens of one step, a multiple of model.contextWindow"),
    microBatch: z
      .int()
      .min(1)
      .optional()
      .describe(
        "Sequences computed at once; as many as fit 2,048 tokens, or 16,384 on a GPU, where not given. The tokens and the dropout masks of a step stay the same",
      ),
    learningRate: z.number().positive(),
    minLearningRate: z.number().min(0).describe("Where the schedule ends"),
    warmupSteps: z.int().min(0),
    schedule: z.enum(scheduleNames).default("cosine"),
    dropoutSchedule: dropoutScheduleSchema.optional(),
    weightDecay: z.number().min(0).default(0.1).describe("Of matrices; gains and biases do not decay"),
    beta1: z.number().min(0).lt(1).default(0.9),
    beta2: z.number().min(0).lt(1).default(0.95),
    eps: z.number().positive().default(1e-8),
    clip: z.number().positive().default(1).describe("Bound of the global gradient norm"),
    evalEvery: z.int().min(1).default(100).describe("Steps between evaluations on the watched validation slice"),
    evalTokens: z.int().min(1).default(16_384).describe("Least size of that slice; whole leading documents"),
    checkpointEvery: z.int().min(1).default(100).describe("Steps between checkpoints"),
    maxLoss: z.number().positive().optional().describe("A loss above this after the warm-up ends the run as diverged"),
    precision: z
      .enum(["f32", "bf16"])
      .default("f32")
      .describe("bf16: products of bfloat16, the rest in float32; --device auto then takes a GPU where there is one"),
  })
  .refine((params) => params.minLearningRate <= params.learningRate, {
    path: ["minLearningRate"],
    message: "minLearningRate must not be above learningRate: a schedule ends below its peak",
  })
  // Known before any data is: a plan is refused, not a run that has downloaded for hours.
  .superRefine(({ batchTokens, model: { contextWindow } }, context) => {
    if (batchTokens % contextWindow === 0) return;
    const nearest = Math.max(1, Math.round(batchTokens / contextWindow)) * contextWindow;
    const message = `batchTokens ${batchTokens} is not a multiple of contextWindow ${contextWindow}; ${nearest} is`;
    context.addIssue({ code: "custom", path: ["batchTokens"], message });
  });

export default defineStage({
  doc: "Train a language model on shards; the result is the same bytes whether or not the run was interrupted.",
  inputs: { shards: "shards" },
  params,
  outputs: { model: "model" },
  determinism: "bitwise",
  seeded: true,
  device: true,
  precision: (params) => params.precision,

  async run({ params, inputs, outputs, seed, device, threads, work, signal, log }) {
    const started = performance.now();
    if (params.warmupSteps >= params.steps) {
      log.warn(
        `warmupSteps is ${params.warmupSteps} and there are ${params.steps} steps: the learning rate only rises and its schedule never begins`,
      );
    }
    const shards = openShards(inputs.shards.path());
    const { vocabSize, endOfText, tokenizer } = shards.manifest;
    const { precision } = params;
    const backend = await openBackend(device, { threads, precision, warn: log.warn, inform: log.info });
    try {
      const config = { ...params.model, vocabSize };
      requireParameterCount(config);
      const model = new Transformer(config);
      model.allocate(backend, { seed, gradients: true });
      const { contextWindow } = config;
      const microBatch =
        params.microBatch ?? Math.max(1, Math.floor(MICRO_BATCH_TOKENS[backend.info.name] / contextWindow));
      const { dropoutSchedule } = params;
      if (dropoutSchedule && hasNoEffect(dropoutSchedule, params.steps)) {
        log.warn(`dropoutSchedule asks for the same dropout at all ${params.steps} steps`);
      }
      const dropout = dropoutSchedule && { probability: config.dropout, schedule: dropoutSchedule };
      const options = { ...params, contextWindow, microBatch, seed, dropout };
      const sampler = openSampler(shards, { ...params, contextWindow, seed });
      for (const [index, { from, to }] of sampler.stages.entries()) {
        if (from === to)
          log.warn(`Stage ${index + 1} of the mix begins after the ${params.steps} steps and is never reached`);
      }
      const trainer = new Trainer(backend, model, sampler, options);
      const documents = leadingDocuments(shards.split("validation").documents(), params.evalTokens);
      if (documents.length === 0) log.warn("The validation split is empty: there is no validation loss");
      const languageModel = new TransformerLanguageModel(backend, model);

      const flopsPerToken = trainingFlopsPerToken(config);
      const peakBytes = () => backend.memory().peakBytes;
      const measuredSpeed = (tokens: number, ms: number) => speedOf(tokens, ms, flopsPerToken, backend.info.peakFlops);
      const identity = { params, seed, shards: inputs.shards.digest, device: backend.info.determinismClass };
      const result = await train(trainer, {
        ...params,
        checkpoints: new Checkpoints(path.join(work, "checkpoints"), identity, (message) => log.warn(message)),
        evaluate: (signal) => evaluateHeldOut(languageModel, documents, endOfText, signal),
        signal,
        progress: (step, record, stepMs) => {
          const speed = measuredSpeed(params.batchTokens, stepMs);
          log.info(canonicalJson({ ...record, ...speed, peak_bytes: peakBytes() }));
          const { loss, grad_norm } = record;
          const note = `loss ${loss?.toFixed(4) ?? "not finite"}, gradient norm ${grad_norm?.toFixed(2) ?? "not finite"}`;
          log.progress(step, params.steps, "steps", note);
        },
      });

      const { model: _, ...training } = params;
      saveModel(outputs.model.path(), model, backend, { tokenizer, training, seed });
      writeFileSync(outputs.model.path("metrics.jsonl"), result.metrics.text());
      const { diverged, trainLoss, evaluation } = result;
      const flops = flopsPerToken * trainer.tokens;
      const summary = {
        status: diverged === undefined ? "completed" : "diverged",
        reason: diverged,
        steps: trainer.step,
        tokens: trainer.tokens,
        flops,
        train_loss: trainLoss ?? null,
        val_loss: evaluation.val_loss,
        val_bits_per_byte: evaluation.val_bits_per_byte,
        ...((params.mix || sampler.sources.length > 1) && {
          sources: sampler.tokensSeen(trainer.step, params.batchTokens / contextWindow),
        }),
      };
      writeFileSync(outputs.model.path("summary.json"), prettyCanonicalJson(summary));

      const { steps, trainingMs, resumedFrom } = result.measured;
      if (diverged !== undefined) log.warn(`Training diverged: ${diverged}. The run is kept as a result.`);
      if (resumedFrom > 0) log.measure("resumed_from_step", resumedFrom);
      if (steps > 0) {
        const speed = measuredSpeed(steps * params.batchTokens, trainingMs);
        for (const [name, value] of Object.entries(speed)) log.measure(name, value);
      }
      log.measure("seconds", (performance.now() - started) / 1000);
      log.measure("peak_bytes", peakBytes());
      log.measure("flops", flops);
      log.measure("device", backend.info.description);
      for (const [name, value] of Object.entries(backend.measures?.() ?? {})) log.measure(name, value);
    } finally {
      backend.close();
      shards.close();
    }
  },
});

/** The windows of a run, over the sources that the manifest of the shards records. */
function openSampler(shards: ShardSet, options: Omit<SamplerOptions, "sources" | "ordered">): Sampler {
  const { order, splits } = shards.manifest;
  const sources = splits.train.sources;
  return new Sampler(shards.split("train"), { ...options, sources, ordered: order !== undefined });
}

/**
 * Tokens a second, and the operations that the model needs for them: as a share of the device's peak where that is known (model
 * FLOP utilisation; Chowdhery et al. 2022, appendix B). Measured, so for the log and the run record, never for an artifact.
 */
function speedOf(tokens: number, ms: number, flopsPerToken: number, peakFlops: number | undefined) {
  const tokensPerSecond = (tokens * 1000) / ms;
  const flopsPerSecond = tokensPerSecond * flopsPerToken;
  return {
    tokens_per_second: tokensPerSecond,
    model_flops_per_second: flopsPerSecond,
    ...(peakFlops === undefined ? {} : { model_flop_utilization: flopsPerSecond / peakFlops }),
  };
}
