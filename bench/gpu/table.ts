// The GPU benchmark's result as a table, and what it means for the paper's run.

import { markdownTable } from "markdown-table";
import { formatBytes } from "../../src/util/format.ts";
import type { Measurement } from "./measure.ts";
import type { PeerMeasurement } from "./peer.ts";
import type { Task } from "./plan.ts";

export type Result = Task & {
  readonly ours?: Measurement;
  readonly peer?: PeerMeasurement;
  /** Why there is no measurement. */
  readonly failure?: string;
};

/** Table 1: 25,000 iterations of 20 micro-batches of 24 sequences of 512 tokens. */
const TABLE_1_TOKENS = 25_000 * 20 * 24 * 512;
const MEBIBYTE = 2 ** 20;

/** `50m, stlm own, 48 x 10`; `kernels` where their times are taken. */
export function labelOf({ model, engine, gemm, profile, microBatch, accumulate }: Task): string {
  return `${model}, ${engine}${gemm ? ` ${gemm}` : ""}${profile ? ", kernels" : ""}, ${microBatch} x ${accumulate}`;
}

/** Why rows have no figure. */
export function failures(results: readonly Result[]): string {
  return results
    .flatMap((result) => (result.failure === undefined ? [] : [`${labelOf(result)}: ${result.failure}`]))
    .join("\n");
}

/** Tokens per second; undefined where there is no measurement. */
export function rateOf({ ours, peer }: Result): number | undefined {
  return ours?.tokensPerSecond ?? peer?.tokens_per_s;
}

export function resultTable(results: readonly Result[]): string {
  const rows = results
    .filter((result) => !result.profile)
    .map((result) => {
      const { engine, model, microBatch, accumulate, gemm, ours, peer } = result;
      const rate = rateOf(result);
      const peakBytes = ours?.peakBytes ?? (peer?.peak_cuda_mib ?? 0) * MEBIBYTE;
      return [
        model,
        gemm === undefined ? engine : `${engine}, ${gemm}`,
        `${microBatch} x ${accumulate}`,
        rate === undefined ? "failed" : Math.round(rate).toLocaleString("en-US"),
        ours?.utilization === undefined ? "" : `${(100 * ours.utilization).toFixed(1)} %`,
        rate === undefined ? "" : formatBytes(peakBytes),
      ];
    });
  const head = ["model", "engine", "sequences", "tokens/s", "of the peak", "memory"];
  return markdownTable([head, ...rows], { align: ["l", "l", "r", "r", "r", "r"] });
}

/** The kernels that take the most time, of each profiled model. */
export function kernelTables(results: readonly Result[], most = 24): string {
  const tables = results.flatMap(({ model, microBatch, ours }) => {
    if (!ours?.kernels) return [];
    const total = ours.kernels.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    const rows = ours.kernels
      .slice(0, most)
      .map(({ kernel, launches, milliseconds }) => [
        kernel,
        `${launches}`,
        milliseconds.toFixed(3),
        `${((100 * milliseconds) / total).toFixed(1)} %`,
      ]);
    const head = [`${model}, ${microBatch} sequences, 2 steps`, "launches", "ms", "share"];
    return [markdownTable([head, ...rows], { align: ["l", "r", "r", "r"] })];
  });
  return tables.join("\n\n");
}

/** Tokens per second at the best micro-batch; 0 where none was measured. */
function bestRate(results: readonly Result[], engine: Task["engine"], model: Task["model"]): number {
  const rates = results.filter((result) => result.engine === engine && result.model === model && !result.profile);
  return Math.max(0, ...rates.map((result) => rateOf(result) ?? 0));
}

/** Ours over PyTorch's, each at its best micro-batch, for every model that both have trained. */
export function speedups(results: readonly Result[]) {
  const models = [...new Set(results.map(({ model }) => model))];
  return models.flatMap((model) =>
    (["torch --compile", "torch"] as const).flatMap((engine) => {
      const [ours, theirs] = [bestRate(results, "stlm", model), bestRate(results, engine, model)];
      return ours > 0 && theirs > 0 ? [{ model, over: engine, times: ours / theirs }] : [];
    }),
  );
}

/** The best rate of each engine at the 50m model, and the hours of Table 1 that follow. */
export function projection(results: readonly Result[]) {
  const engines = [...new Set(results.map(({ engine }) => engine))];
  return engines.flatMap((engine) => {
    const best = bestRate(results, engine, "50m");
    return best > 0 ? [{ engine, tokensPerSecond: best, table1GpuHours: TABLE_1_TOKENS / best / 3600 }] : [];
  });
}
