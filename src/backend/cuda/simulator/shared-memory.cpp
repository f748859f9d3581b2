#include "shared-memory.h"

#include <cstdlib>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
static constexpr size_t tailBytes = 0;  // the sanitizer has zones of its own
#else
static constexpr size_t tailBytes = 1024;
#endif
static constexpr unsigned char tailMark = 0xa5;

// Bounds of the section, made by the linker; absent where no kernel has a `__shared__` variable.
extern "C" __attribute__((weak, visibility("hidden"))) unsigned char __start_cudasim_shared[];
extern "C" __attribute__((weak, visibility("hidden"))) unsigned char __stop_cudasim_shared[];

namespace cudasim {

DynamicSharedMemory::DynamicSharedMemory(size_t bytes) : start_(nullptr), size_(bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 1024, bytes + tailBytes + (bytes + tailBytes == 0)) != 0) abort();
  start_ = static_cast<unsigned char*>(memory);
  memset(start_ + size_, tailMark, tailBytes);
}

DynamicSharedMemory::~DynamicSharedMemory() { free(start_); }

void DynamicSharedMemory::fill() const { memset(start_, 0xff, size_); }

bool DynamicSharedMemory::isIntact() const {
  for (size_t i = 0; i < tailBytes; i++) {
    if (start_[size_ + i] != tailMark) return false;
  }
  return true;
}

// The sanitizer's zones between the variables lie in the section too, and may be filled like the rest.
__attribute__((no_sanitize_address)) void fillStaticShared() {
  for (volatile unsigned char* p = __start_cudasim_shared; p < __stop_cudasim_shared; p += 8) {
    *reinterpret_cast<volatile unsigned long long*>(p) = ~0ull;
  }
}

}  // namespace cudasim
