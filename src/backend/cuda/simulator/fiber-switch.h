// The few instructions that leave one stack and continue on another, and the AddressSanitizer's view of it.
#pragma once
#include <cstddef>

#if !defined(__x86_64__)
#error "The CUDA simulator switches fibers by x86-64 assembly; on other processors it is not available."
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace cudasim {

constexpr size_t stackBytes = 320 * 1024;
/** At the lower end, not accessible. */
constexpr size_t stackGuardBytes = 64 * 1024;

/** Pushes the registers that a call preserves, stores the stack pointer in *from, and pops the same of `to`. */
extern "C" void cudasim_switch(void** from, void* to);

/** A stack whose first switch enters `entry`, which must not return. */
inline void* preparedStack(char* stack, size_t offset, void (*entry)()) {
  // The System V ABI wants the stack pointer 8 above a multiple of 16 on entry, as after a call.
  void** pointer = reinterpret_cast<void**>(stack + stackBytes - 64 - offset);
  *--pointer = nullptr;
  *--pointer = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; saved++) *--pointer = nullptr;
  return pointer;
}

}  // namespace cudasim
