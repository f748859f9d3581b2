// The kernels of the cuda device: the launch function of each, and around it what memory needs: scratch space that begins anew, and
// the bf16 copies of f32 buffers that matrix products read.

import type { DeviceBuffer } from "../backend.ts";
import type { Kernels } from "../kernels.ts";
import type { CudaDevice } from "./device.ts";
import { launchGelu, launchGeluGradient, launchSwiglu, launchSwigluGradient } from "./launch/activations.ts";
import { launchAdamW } from "./launch/adamw.ts";
import { launchAttention, launchAttentionGradient } from "./launch/attention.ts";
import { launchDropout } from "./launch/dropout.ts";
import { launchAdd, launchClear, launchCopy, launchFill, launchScale } from "./launch/elementwise.ts";
import { launchEmbedding, launchEmbeddingGradient } from "./launch/embedding.ts";
import type { GemmProvider } from "./launch/gemm.ts";
import { launchHeadLoss } from "./launch/head-loss.ts";
import { launchMatmul } from "./launch/matmul.ts";
import { launchCutWindows, launchIncrement } from "./launch/micro-batch.ts";
import { launchLayerNorm, launchLayerNormGradient, launchRmsNorm, launchRmsNormGradient } from "./launch/norms.ts";
import { launchClipScale, launchColumnSum, launchSum, launchSumSquares } from "./launch/reductions.ts";
import { launchRope } from "./launch/rope.ts";
import type { Launcher } from "./launcher.ts";

/** The fields of a kernel's arguments that hold a buffer. */
type BufferField<Args> = { [F in keyof Args]-?: Args[F] extends DeviceBuffer | undefined ? F : never }[keyof Args];

export function cudaKernels(device: CudaDevice, provider: GemmProvider): Kernels {
  const { launcher } = device;

  /** A kernel that reads the `rounded` fields in bf16 and writes the `written` ones; some write the copies of these themselves. */
  const kernel =
    <Args>(
      launch: (launcher: Launcher, args: Args) => void,
      fields: {
        written: readonly BufferField<Args>[] | ((args: Args) => readonly DeviceBuffer[]);
        rounded?: readonly BufferField<Args>[];
        writesCopies?: boolean;
      },
    ) =>
    (args: Args): void => {
      device.beginOperation();
      const buffers = (names: readonly BufferField<Args>[] = []) =>
        names.map((name) => args[name] as DeviceBuffer | undefined).filter((buffer) => buffer !== undefined);
      for (const buffer of buffers(fields.rounded)) device.ensureCopy(buffer);
      launch(launcher, args);
      const { written } = fields;
      for (const buffer of typeof written === "function" ? written(args) : buffers(written))
        device.noteWritten(buffer, fields.writesCopies);
    };

  return {
    matmul: kernel((to, args) => launchMatmul(to, provider, args), { written: ["c"], rounded: ["a", "b"] }),
    embedding: kernel(launchEmbedding, { written: ["y"] }),
    embeddingGradient: kernel(launchEmbeddingGradient, { written: ["dTable", "dPositions"] }),
    rmsNorm: kernel(launchRmsNorm, { written: ["y", "rstd"] }),
    rmsNormGradient: kernel(launchRmsNormGradient, { written: ["dx", "dw"] }),
    layerNorm: kernel(launchLayerNorm, { written: ["y", "mean", "rstd"] }),
    layerNormGradient: kernel(launchLayerNormGradient, { written: ["dx", "dw", "db"] }),
    rope: kernel(launchRope, { written: ["x"] }),
    attention: kernel(launchAttention, { written: ["y", "logSumExp"] }),
    attentionGradient: kernel(launchAttentionGradient, { written: ["dqkv"] }),
    swiglu: kernel(launchSwiglu, { written: ["y"] }),
    swigluGradient: kernel(launchSwigluGradient, { written: ["dx"] }),
    gelu: kernel(launchGelu, { written: ["y"] }),
    geluGradient: kernel(launchGeluGradient, { written: ["dx"] }),
    headLoss: kernel((to, args) => launchHeadLoss(to, provider, args), {
      written: ["losses", "dx", "dw"],
      rounded: ["w"],
    }),
    dropout: kernel(launchDropout, { written: ["y"] }),
    add: kernel(launchAdd, { written: ["y"], writesCopies: true }),
    scale: kernel(launchScale, { written: ["y"], writesCopies: true }),
    fill: kernel(launchFill, { written: ["y"], writesCopies: true }),
    copy: kernel(launchCopy, { written: ["y"], writesCopies: true }),
    columnSum: kernel(launchColumnSum, { written: ["db"] }),
    sum: kernel(launchSum, { written: ["out"] }),
    cutWindows: kernel(launchCutWindows, { written: ["ids", "targets"] }),
    increment: kernel(launchIncrement, { written: ["counters"] }),
    sumSquares: kernel(launchSumSquares, { written: ["out"] }),
    clipScale: kernel(launchClipScale, { written: ["out"] }),
    adamW: kernel(launchAdamW, { written: ({ tensors }) => tensors.map(({ p }) => p), writesCopies: true }),
    clear: kernel(launchClear, { written: ({ ys }) => ys }),
  };
}
