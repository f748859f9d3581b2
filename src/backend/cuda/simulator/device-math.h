// CUDA's mathematical functions. Single precision is computed in double precision and rounded, so that results do not depend on the
// C library's version. Read inside namespace cudasim::device.

inline float expf(float x) { return static_cast<float>(std::exp(static_cast<double>(x))); }
inline float exp2f(float x) { return static_cast<float>(std::exp2(static_cast<double>(x))); }
inline float logf(float x) { return static_cast<float>(std::log(static_cast<double>(x))); }
inline float log2f(float x) { return static_cast<float>(std::log2(static_cast<double>(x))); }
inline float log1pf(float x) { return static_cast<float>(std::log1p(static_cast<double>(x))); }
inline float sinf(float x) { return static_cast<float>(std::sin(static_cast<double>(x))); }
inline float cosf(float x) { return static_cast<float>(std::cos(static_cast<double>(x))); }
inline void sincosf(float x, float* sine, float* cosine) { *sine = sinf(x), *cosine = cosf(x); }
inline float tanhf(float x) { return static_cast<float>(std::tanh(static_cast<double>(x))); }
inline float erfcf(float x) { return static_cast<float>(std::erfc(static_cast<double>(x))); }
inline float expm1f(float x) { return static_cast<float>(std::expm1(static_cast<double>(x))); }
inline float erff(float x) { return static_cast<float>(std::erf(static_cast<double>(x))); }
inline float powf(float x, float y) { return static_cast<float>(std::pow(static_cast<double>(x), static_cast<double>(y))); }
inline float sqrtf(float x) { return std::sqrt(x); }  // exact in IEEE arithmetic
inline float rsqrtf(float x) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x))); }
inline float fmaf(float a, float b, float c) { return std::fma(a, b, c); }
inline float fabsf(float x) { return std::fabs(x); }
inline float ceilf(float x) { return std::ceil(x); }
inline float floorf(float x) { return std::floor(x); }
inline float fmaxf(float a, float b) { return std::fmax(a, b); }  // as on the GPU, a NaN gives way to the other operand
inline float fminf(float a, float b) { return std::fmin(a, b); }

// Fast approximations are replaced by the accurate functions.
inline float exp2_fast(float x) { return exp2f(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }

inline double exp(double x) { return std::exp(x); }
inline double log(double x) { return std::log(x); }
inline double pow(double x, double y) { return std::pow(x, y); }
inline double sqrt(double x) { return std::sqrt(x); }
inline double sin(double x) { return std::sin(x); }
inline double cos(double x) { return std::cos(x); }
inline double fma(double a, double b, double c) { return std::fma(a, b, c); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline double floor(double x) { return std::floor(x); }
inline double fabs(double x) { return std::fabs(x); }

template <class T>
bool isfinite(T x) {
  return std::isfinite(x);
}
template <class T>
bool isnan(T x) {
  return std::isnan(x);
}
template <class T>
bool isinf(T x) {
  return std::isinf(x);
}

/** The common type, as for CUDA's overloads of min and max. */
template <class A, class B>
std::common_type_t<A, B> min(A a, B b) {
  return b < a ? b : a;
}
template <class A, class B>
std::common_type_t<A, B> max(A a, B b) {
  return a < b ? b : a;
}

inline u32 __umulhi(u32 a, u32 b) { return static_cast<u32>((static_cast<u64>(a) * b) >> 32); }
inline int __popc(u32 x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<u32>(x)) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
