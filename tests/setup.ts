// Property tests draw the same cases on every run, so that a green suite stays green. To look for new counterexamples give
// another seed, or "random": STLM_TEST_SEED=random npx vitest run tests/data. fast-check prints the seed of what failed.

import fc from "fast-check";

const wanted = process.env["STLM_TEST_SEED"] ?? "20240502";
const seed = Number(wanted);
if (wanted !== "random") {
  if (!Number.isInteger(seed)) throw new Error(`STLM_TEST_SEED is "${wanted}": give a whole number or "random"`);
  fc.configureGlobal({ seed });
}
