// What this processor can do, asked of the processor itself. Compiled once, for the baseline processor.

#define _GNU_SOURCE
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#define EXPORT __attribute__((visibility("default")))

// 4: also AMX with bfloat16, 3: also AVX-512 with bfloat16, 2: AVX-512 (F, BW, DQ, VL), 1: AVX2 and FMA, 0: none of these.
EXPORT int stlm_best_isa(void) {
#if defined(STLM_AMX_SIMULATED)
  return 4;
#elif defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & (1u << 5))) return 2;
    // Bits 22 and 24: AMX-BF16 and AMX-TILE.
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & (1u << 22)) || !(d & (1u << 24))) return 3;
    return 4;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
  return 0;
}

// Asks Linux for the right to use tile registers, for all threads of this process
// (https://docs.kernel.org/arch/x86/xstate.html). 0 where it is given.
EXPORT int stlm_permit_tiles(void) {
#if defined(STLM_AMX_SIMULATED)
  return 0;
#elif defined(__x86_64__) && defined(__linux__) && defined(SYS_arch_prctl)
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 ? 0 : -1;
#else
  return -1;
#endif
}
