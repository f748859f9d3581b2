// Launches of the attention kernels: tiles on tensor cores for heads of up to 128 columns (kernels/attention.cu and
// attention-gradient.cu, the head dimension rounded up), one warp per query for wider ones and for generation (attention-any.cu).

import type { AttentionArgs, AttentionGradientArgs, KeyValueCache } from "../../kernels.ts";
import type { KernelArgument, Launcher } from "../launcher.ts";
import { address, dropoutArguments, f32, i32, launch, pointer } from "./arguments.ts";

const ROWS = 64;
const MOST_COLUMNS = 256;

/** As the kernels are compiled: columns, keys and queries of a tile, and whether 64 rows are kept in shared memory too. */
const TILES = [
  { D: 16, keys: 64, queries: 64, keepsRows: false },
  { D: 32, keys: 64, queries: 64, keepsRows: false },
  { D: 64, keys: 64, queries: 32, keepsRows: false },
  { D: 128, keys: 32, queries: 32, keepsRows: true },
] as const;

type Shape = Pick<AttentionArgs, "B" | "T" | "H" | "Hkv" | "D" | "scale">;

export function launchAttention(launcher: Launcher, call: AttentionArgs): void {
  const { B, T, H, Hkv, D, cache } = call;
  checkHeads(call, "attention");
  const y = address(call.y, "bf16", B * T * H * D, "attention.y");
  const logSumExp = address(call.logSumExp, "f32", B * H * T, "attention.logSumExp");
  const qkv = address(call.qkv, "bf16", B * T * (H + 2 * Hkv) * D, "attention.qkv");
  const dropout = dropoutArguments(call.dropout, B * H * T * T);
  const tile = TILES.find((candidate) => D <= candidate.D);
  if (!cache && tile) {
    launch(launcher, {
      kernel: `attention_${tile.D}`,
      grid: [Math.ceil(T / ROWS), H, B],
      threads: 128,
      sharedBytes: 4 * tileBytes(tile.keys, tile.D),
      args: [y, logSumExp, qkv, ...shapeArguments(call), ...dropout],
    });
    return;
  }
  const stored = cache ? appended(launcher, call, cache, qkv) : ownKeys(call, qkv);
  launch(launcher, {
    kernel: "attention_any",
    grid: [Math.ceil((B * H * T) / 4), 1, 1],
    threads: 128,
    args: [y, logSumExp, qkv, ...stored, i32(B), ...shapeArguments(call), ...dropout],
  });
}

export function launchAttentionGradient(launcher: Launcher, call: AttentionGradientArgs): void {
  const { B, T, H, Hkv, D } = call;
  checkHeads(call, "attentionGradient");
  const width = (H + 2 * Hkv) * D;
  const dqkv = address(call.dqkv, "bf16", B * T * width, "attentionGradient.dqkv");
  const dy = address(call.dy, "bf16", B * T * H * D, "attentionGradient.dy");
  const y = address(call.y, "bf16", B * T * H * D, "attentionGradient.y");
  const logSumExp = address(call.logSumExp, "f32", B * H * T, "attentionGradient.logSumExp");
  const qkv = address(call.qkv, "bf16", B * T * width, "attentionGradient.qkv");
  const delta = pointer(launcher.workspace(B * H * T * 4));
  const dropout = dropoutArguments(call.dropout, B * H * T * T);
  const forQueries = [dqkv, delta, dy, y, logSumExp, qkv];
  const forKeysValues = [dqkv, delta, dy, logSumExp, qkv];
  const tile = TILES.find((candidate) => D <= candidate.D);
  if (!tile) {
    const shape = [i32(B), ...shapeArguments(call), ...dropout];
    launch(launcher, {
      kernel: "attention_queries_gradient_any",
      grid: [Math.ceil((B * H * T) / 4), 1, 1],
      threads: 128,
      args: [...forQueries, ...shape],
    });
    launch(launcher, {
      kernel: "attention_keys_values_gradient_any",
      grid: [Math.ceil((B * Hkv * T) / 4), 1, 1],
      threads: 128,
      args: [...forKeysValues, ...shape],
    });
    return;
  }
  const shape = [...shapeArguments(call), ...dropout];
  launch(launcher, {
    kernel: `attention_queries_gradient_${tile.D}`,
    grid: [Math.ceil(T / ROWS), H, B],
    threads: 128,
    sharedBytes: 4 * tileBytes(tile.keys, tile.D),
    args: [...forQueries, ...shape],
  });
  launch(launcher, {
    kernel: `attention_keys_values_gradient_${tile.D}`,
    grid: [Math.ceil(T / ROWS), Hkv, B],
    threads: 128,
    sharedBytes: keysValuesBytes(tile),
    args: [...forKeysValues, ...shape],
  });
}

/** Queues the writing of this call's keys and values to the cache; says where all of them lie then. */
function appended(
  launcher: Launcher,
  call: AttentionArgs,
  cache: KeyValueCache,
  qkv: KernelArgument,
): KernelArgument[] {
  const { B, T, H, Hkv, D } = call;
  const { keysValues, capacity, firstPosition } = cache;
  const columns = 2 * Hkv * D;
  if (firstPosition + T > capacity) {
    throw new RangeError(
      `attention.cache: positions ${firstPosition}..${firstPosition + T} of a capacity of ${capacity}`,
    );
  }
  const keys = address(keysValues, "bf16", B * capacity * columns, "attention.cache.keysValues");
  launch(launcher, {
    kernel: "append_keys_values",
    grid: [Math.min(Math.ceil((B * T * columns) / 128), launcher.multiprocessors * 16), 1, 1],
    threads: 128,
    args: [
      keys,
      qkv,
      i32(B),
      i32(T),
      i32((H + 2 * Hkv) * D),
      i32(H * D),
      i32(columns),
      i32(capacity),
      i32(firstPosition),
    ],
  });
  return [keys, i32(capacity), i32(columns), i32(firstPosition)];
}

/** Where keys lie that are not cached: in the projections themselves, behind the queries. */
function ownKeys({ T, H, Hkv, D }: Shape, qkv: KernelArgument): KernelArgument[] {
  if (qkv.type !== "pointer") throw new TypeError("attention.qkv: not an address");
  return [pointer(qkv.value + BigInt(H * D * 2)), i32(T), i32((H + 2 * Hkv) * D), i32(0)];
}

function shapeArguments({ T, H, Hkv, D, scale }: Shape): KernelArgument[] {
  return [i32(T), i32(H), i32(Hkv), i32(D), f32(scale)];
}

function checkHeads({ H, Hkv, D, B, T }: Shape, kernel: string): void {
  if (H % Hkv !== 0) throw new RangeError(`${kernel}: ${H} query heads cannot share ${Hkv} key/value heads`);
  if (D % 2 !== 0 || D > MOST_COLUMNS) {
    throw new RangeError(`${kernel}.D: ${D} is not an even head dimension up to ${MOST_COLUMNS}`);
  }
  i32(B * H * T, `${kernel}: B H T`);
}

/** Two stages of queries and of dy, with log_sum_exp and delta of each query, and the rows that are kept. */
function keysValuesBytes({ D, queries, keepsRows }: (typeof TILES)[number]): number {
  return 4 * (tileBytes(queries, D) + 4 * queries) + (keepsRows ? 2 * tileBytes(ROWS, D) : 0);
}

/** Rows in shared memory are 16 bytes longer than they need. */
function tileBytes(rows: number, D: number): number {
  return rows * (D + 8) * 2;
}
