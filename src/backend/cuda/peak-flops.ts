// What the tensor cores of a GPU reach at most in bf16 with f32 sums, dense, by NVIDIA's data sheets: the denominator of model FLOP
// utilisation. GPUs that are not listed have none.

/** First match wins. Operations a second. */
const PEAKS: readonly (readonly [name: RegExp, flops: number])[] = [
  [/\bB200\b/, 2250e12],
  [/\bH100 PCIe\b/, 756e12],
  [/\bH100 NVL\b/, 835e12],
  [/\bH(100|200|800)\b/, 989e12],
  [/\bA(100|800)\b/, 312e12],
  [/\bA40\b/, 149.7e12],
  [/\bA30\b/, 165e12],
  [/\bA10\b/, 125e12],
  [/\bA10G\b/, 70e12],
  [/\bL40S\b/, 362e12],
  [/\bL40\b/, 181e12],
  [/\bL4\b/, 121e12],
  [/\bRTX 6000 Ada\b/, 364.2e12],
  [/\bRTX A6000\b/, 154.8e12],
  [/\bRTX 5090\b/, 209.5e12],
  [/\bRTX 4090\b/, 165.2e12],
  [/\bRTX 3090\b/, 71e12],
];

/** `name` as the driver tells it: `NVIDIA H200`. */
export function peakFlopsOf(name: string): number | undefined {
  return PEAKS.find(([pattern]) => pattern.test(name))?.[1];
}
