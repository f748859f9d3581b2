// The data sets that pipeline.yaml may name.

import { arcChallenge, arcEasy } from "./arc.ts";
import { babylm, babylm100m } from "./babylm.ts";
import { benchmarksFull } from "./benchmarks-full.ts";
import { benchmarksHub } from "./benchmarks-hub.ts";
import { blimp } from "./blimp.ts";
import { bundledBenchmarks } from "./bundled-benchmarks.ts";
import { bundledChat } from "./bundled-chat.ts";
import { bundledSpeeches } from "./bundled-speeches.ts";
import { bundledStories } from "./bundled-stories.ts";
import type { Dataset } from "./dataset.ts";
import { englishWikipedia } from "./english-wikipedia.ts";
import { enwiki2015 } from "./enwiki-2015.ts";
import { gpteacherChat } from "./gpteacher-chat.ts";
import { gsm8k } from "./gsm8k.ts";
import { gutenbergBooks } from "./gutenberg-books.ts";
import { gutenbergChildren } from "./gutenberg-children.ts";
import { hellaswag } from "./hellaswag.ts";
import { mmlu } from "./mmlu.ts";
import { openhermes } from "./openhermes.ts";
import { openwebtext } from "./openwebtext.ts";
import { pythonCode500k } from "./python-code.ts";
import { pythonStdlib } from "./python-stdlib.ts";
import { simpleWikipedia } from "./simple-wikipedia.ts";
import { simplewikiSample } from "./simplewiki-sample.ts";
import { stlmMix } from "./stlm-mix.ts";
import { tinystories } from "./tinystories.ts";
import { tinystoriesSample } from "./tinystories-sample.ts";
import { wikinewsEn } from "./wikinews-en.ts";
import { winogrande } from "./winogrande.ts";

export const datasets = {
  // In the package.
  "bundled-stories": bundledStories,
  "bundled-speeches": bundledSpeeches,
  "bundled-chat": bundledChat,
  "bundled-benchmarks": bundledBenchmarks,
  // Below the folder of --data-dir.
  "enwiki-2015": enwiki2015,
  "gutenberg-books": gutenbergBooks,
  "gutenberg-children": gutenbergChildren,
  "wikinews-en": wikinewsEn,
  "tinystories-sample": tinystoriesSample,
  "python-stdlib": pythonStdlib,
  "gpteacher-chat": gpteacherChat,
  "simplewiki-sample": simplewikiSample,
  "benchmarks-full": benchmarksFull,
  // From the network.
  openwebtext,
  "simple-wikipedia": simpleWikipedia,
  "english-wikipedia": englishWikipedia,
  tinystories,
  openhermes,
  "python-code-500k": pythonCode500k,
  "stlm-mix": stlmMix,
  babylm,
  "babylm-100m": babylm100m,
  "benchmarks-hub": benchmarksHub,
  blimp,
  hellaswag,
  "arc-easy": arcEasy,
  "arc-challenge": arcChallenge,
  winogrande,
  mmlu,
  gsm8k,
} as const satisfies Record<string, Dataset>;

export type DatasetName = keyof typeof datasets;

export const datasetNames = Object.keys(datasets) as [DatasetName, ...DatasetName[]];
