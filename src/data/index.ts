// `stlm-pipeline/data`: text to ids, and ids from disk.

/** The data sets that pipeline.yaml may name: source, license, digests. */
export { type DatasetName, datasetNames, datasets } from "./datasets/index.ts";
/** The documents of a `dataset` artifact, streamed. */
export { type ReadDocumentsOptions, readDocuments, type SourceDocument } from "./documents.ts";
/** Windows of several sources by weights, in stages over the steps; a `Trainer` takes a `Sampler` as its source. */
export { type Mix, mixSchema } from "./mix.ts";
export { Sampler, type SamplerOptions } from "./sampler.ts";
/** A `shards` artifact: windows by position, documents in order. */
export {
  type OpenShardsOptions,
  openShards,
  type ShardDocument,
  type ShardSet,
  type ShardsManifest,
  type SplitReader,
} from "./shards.ts";
/** Which split a document belongs to, by a keyed hash of its text. */
export { type SplitName, type SplitRule, splitNames, splitOf } from "./split.ts";
/**
 * Encode and decode text: `makeTokenizer` trains or reads one by name, `loadTokenizer` opens a saved one, and
 * `smallerTokenizer` is what the same training to fewer entries would have made.
 */
export {
  loadTokenizer,
  type MakeTokenizerOptions,
  makeTokenizer,
  smallerTokenizer,
  type Tokenizer,
  type TokenizerKind,
  tokenizerNames,
} from "./tokenizers/index.ts";
