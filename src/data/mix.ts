// What a run draws from: weights over the sources of the shards, in stages over the training steps. Parsed from
// pipeline.yaml and turned into shares; docs/decisions/0008-mixes-by-counter.md says why it looks like this.

import { z } from "zod";
import { didYouMean, UserError } from "../util/errors.ts";
import { formatCount } from "../util/format.ts";

const share = z.number().gt(0).max(1);

const drawing = {
  weights: z
    .record(z.string(), z.number().min(0))
    .optional()
    .describe("By source name; a source without one is not drawn from. Absent: the sources' tokens"),
  temperature: z
    .number()
    .positive()
    .optional()
    .describe(
      "A source's share is proportional to weight^(1/temperature): 1 as given, large evens them out (default 1)",
    ),
  easiest: z
    .union([share, z.tuple([share, share])])
    .optional()
    .describe("Draw from this leading share of each source, [from, to] grows over the stage; needs shards in order"),
};

const mixStageSchema = z.strictObject({
  until: z.int().min(1).optional().describe("The stage holds for steps before this one; absent in the last"),
  ...drawing,
});

export const mixSchema = z
  .strictObject({
    ...drawing,
    stages: z.array(mixStageSchema).min(1).optional().describe("A curriculum; what a stage leaves out is as above"),
  })
  .check(({ value, issues }) => {
    let before = 0;
    for (const [index, { until }] of (value.stages ?? []).entries()) {
      const isLast = index === value.stages!.length - 1;
      const message = isLast
        ? until !== undefined && "the last stage lasts to the end: leave out its until"
        : until === undefined
          ? "every stage but the last says until which step it holds"
          : until <= before && `stages follow each other: until must be above ${before}`;
      if (message) issues.push({ code: "custom", message, path: ["stages", index, "until"], input: until });
      before = until ?? before;
    }
  })
  .check(({ value, issues }) => {
    // What the sources are called is known only with the shards; that none has a weight is known now.
    const places = [value, ...(value.stages ?? [])];
    for (const [index, { weights }] of places.entries()) {
      if (weights === undefined || Object.values(weights).some((weight) => weight > 0)) continue;
      const path = [...(index === 0 ? [] : ["stages", index - 1]), "weights"];
      const message = "nothing is left to draw from: give at least one source a weight above 0";
      issues.push({ code: "custom", message, path, input: weights });
    }
  });

export type Mix = z.output<typeof mixSchema>;

/** A source as it lies in the train stream, in ids. */
export interface StreamSource {
  readonly name: string;
  readonly from: number;
  readonly tokens: number;
}

export interface MixStage {
  /** Steps from..to-1. */
  readonly from: number;
  readonly to: number;
  /** Of each source, adding up to 1. */
  readonly shares: readonly number[];
  /** Leading share of each source's stream, at the first and at the last step. */
  readonly easiest: readonly [first: number, last: number];
}

export interface ResolveMixOptions {
  readonly sources: readonly StreamSource[];
  /** Updates of the whole run. */
  readonly steps: number;
  /** Ids of a window, contextWindow + 1. */
  readonly windowLength: number;
  /** Whether the train split is in order of difficulty. */
  readonly ordered: boolean;
}

/** weight^(1/temperature), scaled to add up to 1; in logarithms, so that no temperature overflows. */
export function temperatureShares(weights: readonly number[], temperature: number): number[] {
  const logs = weights.map((weight) => Math.log(weight));
  const largest = Math.max(...logs);
  const scaled = logs.map((log) => Math.exp((log - largest) / temperature));
  const sum = scaled.reduce((total, value) => total + value, 0);
  return scaled.map((value) => value / sum);
}

/** The stages that `mix` means for these sources. Throws a UserError for what does not fit them. */
export function resolveMix(mix: Mix, options: ResolveMixOptions): MixStage[] {
  const { stages = [{}], ...common } = mix;
  let from = 0;
  return stages.map((stage, index) => {
    const place = mix.stages ? `params.mix.stages.${index}` : "params.mix";
    const { weights, temperature = 1, easiest = 1 } = { ...common, ...stage };
    if (easiest !== 1 && !options.ordered) throw notOrdered(place);
    const given = options.sources.map(({ name, tokens }) => (weights ? (ownWeight(weights, name) ?? 0) : tokens));
    for (const name of Object.keys(weights ?? {})) checkName(name, options.sources, place);
    if (given.every((weight) => weight === 0)) throw noWeight(place);
    for (const [source, weight] of given.entries()) if (weight > 0) checkLength(options.sources[source]!, options);
    const to = Math.min(("until" in stage ? stage.until : undefined) ?? options.steps, options.steps);
    const resolved: MixStage = {
      ...{ from, to: Math.max(from, to) },
      shares: temperatureShares(given, temperature),
      easiest: typeof easiest === "number" ? [easiest, easiest] : easiest,
    };
    from = resolved.to;
    return resolved;
  });
}

/** Own members only: a source may be called "constructor". */
function ownWeight(weights: Readonly<Record<string, number>>, name: string): number | undefined {
  return Object.hasOwn(weights, name) ? weights[name] : undefined;
}

function checkName(name: string, sources: readonly StreamSource[], place: string): void {
  const names = sources.map((source) => source.name);
  if (names.includes(name)) return;
  throw new UserError(`The mix gives a weight to "${name}", which the shards do not hold.`, {
    code: "UNKNOWN_SOURCE",
    where: { path: `${place}.weights.${name}` },
    hint: `Sources are: ${names.join(", ")}.${didYouMean(name, names)} A list under corpus.dataset makes a mix of sources.`,
  });
}

function checkLength({ name, tokens }: StreamSource, { windowLength }: ResolveMixOptions): void {
  if (tokens >= windowLength) return;
  throw new UserError(
    `The source "${name}" has ${formatCount(tokens)} training tokens, less than one window of ${windowLength}.`,
    { code: "SOURCE_TOO_SHORT", hint: "Give it no weight, more text, or the model a smaller contextWindow." },
  );
}

function noWeight(place: string): UserError {
  return new UserError("The mix leaves nothing to draw from: every weight is 0.", {
    code: "NO_WEIGHT",
    where: { path: `${place}.weights` },
    hint: "Give at least one source a weight above 0.",
  });
}

function notOrdered(place: string): UserError {
  return new UserError("The mix asks for the easiest part of each source, and the shards are not in order.", {
    code: "NOT_ORDERED",
    where: { path: `${place}.easiest` },
    hint: "Let the shard stage sort them: params.shards.order: { by: length }, or entropy, rarity, score.",
  });
}
