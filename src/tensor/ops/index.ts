// Every op: one file each, the kernel call and its gradient side by side.

export { add } from "./add.ts";
export { attention } from "./attention.ts";
export { dropout } from "./dropout.ts";
export { embedding } from "./embedding.ts";
export { gelu } from "./gelu.ts";
export { headLoss } from "./head-loss.ts";
export { layerNorm } from "./layer-norm.ts";
export { linear } from "./linear.ts";
export { rmsNorm } from "./rms-norm.ts";
export { rope } from "./rope.ts";
export { selectRows } from "./select-rows.ts";
export { swiglu } from "./swiglu.ts";
