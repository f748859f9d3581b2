// Who computes matrix products: our own kernels, cuBLASLt, or for each shape the faster of both.

import { UserError } from "../../../util/errors.ts";

export const GEMM_VARIABLE = "STLM_CUDA_GEMM";
const CHOICES = ["own", "cublaslt", "tuned"] as const;
export type GemmChoice = (typeof CHOICES)[number];

/**
 * What `STLM_CUDA_GEMM` says, else a rule that needs no clock: from Hopper (9.0) to data-centre Blackwell the fast matrix instructions
 * are not those of our kernels, so there cuBLASLt where it is found; elsewhere our own. Looking for the library means loading it, some
 * 500 MB: it is asked for only where the answer counts.
 */
export function chooseGemm(
  capability: number,
  hasCublasLt: () => boolean,
  named = process.env[GEMM_VARIABLE],
): GemmChoice {
  if (named !== undefined && named !== "") {
    const choice = CHOICES.find((known) => known === named);
    if (!choice) throw unknownChoice(named);
    return choice;
  }
  return capability >= 90 && capability < 120 && hasCublasLt() ? "cublaslt" : "own";
}

function unknownChoice(named: string): UserError {
  return new UserError(`${GEMM_VARIABLE} is ${named}.`, {
    code: "UNKNOWN_GEMM",
    hint: `It can be ${CHOICES.join(", ")}, or left out.`,
  });
}
