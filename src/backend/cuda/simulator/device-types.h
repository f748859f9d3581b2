// bfloat16, vector types and wide accesses. Read inside namespace cudasim::device; see kernels/prelude.cuh for what each one is.

struct bf16 {
  u16 x;
};

inline float __uint_as_float(u32 bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
inline u32 __float_as_uint(float value) {
  u32 bits;
  memcpy(&bits, &value, 4);
  return bits;
}
inline float __int_as_float(int bits) { return __uint_as_float(static_cast<u32>(bits)); }
inline int __float_as_int(float value) { return static_cast<int>(__float_as_uint(value)); }

inline float bf2f(bf16 v) { return __uint_as_float(static_cast<u32>(v.x) << 16); }
/** To nearest, ties to even; every NaN becomes 0x7fff, as the GPU's conversion does. */
inline bf16 f2bf(float f) {
  const u32 bits = __float_as_uint(f);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {static_cast<u16>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}
inline u32 pack_bf16(float lo, float hi) { return static_cast<u32>(f2bf(hi).x) << 16 | f2bf(lo).x; }
inline float pair_lo(u32 pair) { return __uint_as_float(pair << 16); }
inline float pair_hi(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }
inline float to_float(float v) { return v; }
inline float to_float(bf16 v) { return bf2f(v); }
inline void store(float* p, float v) { *p = v; }
inline void store(bf16* p, float v) { *p = f2bf(v); }

struct alignas(8) uint2 {
  u32 x, y;
};
struct alignas(16) uint4 {
  u32 x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline uint2 make_uint2(u32 x, u32 y) { return {x, y}; }
inline uint4 make_uint4(u32 x, u32 y, u32 z, u32 w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

inline void requireAligned(const void* p, unsigned width) {
  if (reinterpret_cast<uintptr_t>(p) % width) fail(errorMisalignedAddress, "an access of %u bytes at %p", width, p);
}
template <class T>
T loadAs(const void* p) {
  requireAligned(p, sizeof(T));
  T value;
  memcpy(&value, p, sizeof value);
  return value;
}
template <class T>
void storeAs(void* p, T value) {
  requireAligned(p, sizeof(T));
  memcpy(p, &value, sizeof value);
}
inline uint4 load16(const void* p) { return loadAs<uint4>(p); }
inline uint2 load8(const void* p) { return loadAs<uint2>(p); }
inline u32 load4(const void* p) { return loadAs<u32>(p); }
inline void store16(void* p, uint4 v) { storeAs(p, v); }
inline void store8(void* p, uint2 v) { storeAs(p, v); }
inline void store4(void* p, u32 v) { storeAs(p, v); }
template <class T>
T __ldg(const T* p) {
  requireAligned(p, alignof(T));
  return *p;
}
