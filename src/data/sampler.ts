// Which window a training step reads, by counter: (seed, step, index) alone decides source and start, so a run that goes
// on after a kill sees the same text, whatever the micro-batch, and what a run saw can be counted afterwards.

import { CounterRandom, PURPOSE } from "../util/philox.ts";
import { type Mix, type MixStage, resolveMix, type StreamSource } from "./mix.ts";
import { windowStart } from "./windows.ts";

/** One long stream of token ids. */
export interface TokenSource {
  readonly tokens: number;
  /** `length` ids from `start` on, written to `out` where given. */
  readWindow(start: number, length: number, out?: Int32Array): Int32Array;
}

/** What a trainer draws its sequences from. */
export interface WindowSource {
  /** The out.length ids of sequence `index` of step `step`, counted from 0, written to `out`. */
  drawWindow(step: number, index: number, out: Int32Array): void;
}

/** Windows that start anywhere in the stream with equal probability. drawWindow throws a UserError for a short stream. */
export function uniformWindows(stream: TokenSource, seed: number): WindowSource {
  return {
    drawWindow(step, index, out) {
      fill(out, stream, windowStart(seed, step, index, stream.tokens, out.length));
    },
  };
}

/** A source may return memory of its own in place of `out`. */
function fill(out: Int32Array, stream: TokenSource, start: number): void {
  const window = stream.readWindow(start, out.length, out);
  if (window !== out) out.set(window);
}

export interface SamplerOptions {
  readonly seed: number;
  /** Updates of the whole run. */
  readonly steps: number;
  readonly contextWindow: number;
  /** Sources in the order of the stream, as the manifest of the shards has them; none: one source called "train". */
  readonly sources?: readonly { readonly name: string; readonly tokens: number }[] | undefined;
  /** Whether the stream is in order of difficulty within each source. */
  readonly ordered?: boolean;
  /** Absent: windows anywhere in the whole stream. */
  readonly mix?: Mix | undefined;
}

/** The windows of a run over shards that may hold several sources. */
export class Sampler implements WindowSource {
  readonly sources: readonly StreamSource[];
  /** Empty without a mix. */
  readonly stages: readonly MixStage[];
  private readonly length: number;

  /** Throws a UserError for a mix that does not fit the sources. */
  constructor(
    private readonly stream: TokenSource,
    private readonly options: SamplerOptions,
  ) {
    const { steps, contextWindow, sources, ordered = false, mix } = options;
    this.length = contextWindow + 1;
    let from = 0;
    this.sources = (sources ?? [{ name: "train", tokens: stream.tokens }]).map(({ name, tokens }) => {
      const source = { name, from, tokens };
      from += tokens;
      return source;
    });
    const { length } = this;
    this.stages = mix ? resolveMix(mix, { sources: this.sources, steps, windowLength: length, ordered }) : [];
  }

  drawWindow(step: number, index: number, out: Int32Array): void {
    fill(out, this.stream, this.start(step, index));
  }

  /** Position in the stream of the first id of sequence `index` of step `step`. */
  start(step: number, index: number): number {
    const { seed } = this.options;
    const stage = this.stageAt(step);
    if (stage === undefined) return windowStart(seed, step, index, this.stream.tokens, this.length);
    const { from, tokens } = this.sources[this.source(step, index)]!;
    return from + windowStart(seed, step, index, leadingTokens(stage, step, tokens, this.length), this.length);
  }

  /** Which source a sequence is drawn from; only of a mix. A source with share 0 is never drawn. */
  source(step: number, index: number): number {
    const { shares } = this.stageAt(step)!;
    const uniform = new CounterRandom(this.options.seed, PURPOSE.source, step).uniform(index);
    let sum = 0;
    let chosen = 0;
    for (const [source, share] of shares.entries()) {
      if (share === 0) continue;
      chosen = source;
      sum += share;
      if (uniform < sum) break; // rounding may leave the sum below 1: then the last one it is
    }
    return chosen;
  }

  /** Ids of each source that `steps` steps of `sequences` sequences read as input, counted by drawing again. */
  tokensSeen(steps: number, sequences: number): { readonly name: string; readonly tokens: number }[] {
    const seen = this.sources.map(() => 0);
    for (let step = 0; step < steps; step++) {
      for (let index = 0; index < sequences; index++) this.count(this.start(step, index), seen);
    }
    return this.sources.map(({ name }, source) => ({ name, tokens: seen[source]! }));
  }

  /** Adds a window's inputs to the sources that they lie in; without a mix a window may reach into the next source. */
  private count(start: number, seen: number[]): void {
    const end = start + this.options.contextWindow;
    for (const [source, { from, tokens }] of this.sources.entries()) {
      const overlap = Math.min(end, from + tokens) - Math.max(start, from);
      if (overlap > 0) seen[source]! += overlap;
    }
  }

  private stageAt(step: number): MixStage | undefined {
    return this.stages.find(({ to }) => step < to) ?? this.stages.at(-1);
  }
}

/** Ids of a source that may be drawn from at `step`: a leading share that grows over the stage, at least a window. */
function leadingTokens(stage: MixStage, step: number, tokens: number, length: number): number {
  const [first, last] = stage.easiest;
  const steps = stage.to - stage.from - 1;
  const progress = steps <= 0 ? 1 : Math.min(1, Math.max(0, step - stage.from) / steps);
  const leading = Math.ceil((first + (last - first) * progress) * tokens);
  return Math.min(tokens, Math.max(length, leading));
}
