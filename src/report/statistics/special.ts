// Special functions behind the distributions: log-gamma, the incomplete beta and gamma functions, the error function, and
// a bisection that inverts any increasing function. Formulas: NIST Digital Library of Mathematical Functions (DLMF).

const MAX_TERMS = 10_000;

/** ln Gamma(x) for x > 0: the recurrence up to x >= 16, then Stirling's series (DLMF 5.11.1). Relative error about 1e-14. */
export function logGamma(x: number): number {
  let shift = 0;
  while (x < 16) shift += Math.log(x++);
  const square = 1 / (x * x);
  const series = (1 / 12 + square * (-1 / 360 + square * (1 / 1260 + square * (-1 / 1680 + square / 1188)))) / x;
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series - shift;
}

/** Regularised incomplete beta function I_x(a, b), a, b > 0, by its continued fraction (DLMF 8.17.22). */
export function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast below the mean; above it, use I_x(a, b) = 1 - I_{1-x}(b, a).
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const logFront = logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x);
  return (Math.exp(logFront) / a) * betaFraction(x, a, b);
}

/** 1 / (1 + d1/(1 + d2/(1 + ...))) by the modified method of Lentz (Thompson & Barnett 1986). */
function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  let fraction = tiny;
  let c = fraction;
  let d = 0;
  for (let n = 0; n < MAX_TERMS; n++) {
    const m = n >> 1;
    let term = 1;
    if (n > 0) {
      term =
        n % 2 === 0
          ? (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
          : (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    }
    d = 1 / (1 + term * d || tiny);
    c = 1 + term / c || tiny;
    fraction *= c * d;
    if (n > 0 && Math.abs(c * d - 1) < 1e-15) break;
  }
  return fraction;
}

/**
 * Regularised incomplete gamma functions [P(a, x), Q(a, x) = 1 - P], a > 0, x >= 0: the series of P (DLMF 8.7.1) below a + 1,
 * the continued fraction of Q (DLMF 8.9.2) above, so that whichever is small keeps its digits.
 */
export function incompleteGamma(a: number, x: number): [p: number, q: number] {
  if (x <= 0) return [0, 1];
  const front = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < MAX_TERMS && term > 1e-17 * sum; n++) {
      term *= x / (a + n);
      sum += term;
    }
    return [front * sum, 1 - front * sum];
  }
  const tiny = 1e-300;
  let b = x + 1 - a;
  let c = 1 / tiny;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1; n < MAX_TERMS; n++) {
    const term = n * (a - n);
    b += 2;
    d = 1 / (term * d + b || tiny);
    c = b + term / c || tiny;
    fraction *= c * d;
    if (Math.abs(c * d - 1) < 1e-15) break;
  }
  return [1 - front * fraction, front * fraction];
}

/** Complementary error function, Q(1/2, x^2) for x >= 0 (DLMF 7.11.2). */
export function erfc(x: number): number {
  return x < 0 ? 2 - erfc(-x) : incompleteGamma(0.5, x * x)[1];
}

/** P(Z <= z) for a standard normal Z. */
export function normalCdf(z: number): number {
  return erfc(-z / Math.SQRT2) / 2;
}

/** The z with P(Z <= z) = p, 0 < p < 1. */
export function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  return bisect(normalCdf, p, -40, 0);
}

/** The x in [low, high] where the increasing function `f` reaches `target`, by halving until `tolerance` or the last bit. */
export function bisect(f: (x: number) => number, target: number, low: number, high: number, tolerance = 0): number {
  while (high - low > tolerance) {
    const middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    if (f(middle) < target) low = middle;
    else high = middle;
  }
  return low + (high - low) / 2;
}
