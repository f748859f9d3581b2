// Shared memory of a block: filled with NaNs (0xff) before each block, because a kernel may not count on what was there.
#pragma once
#include <cstddef>

namespace cudasim {

/** The launch's dynamic shared memory, with marked bytes behind it that show a write beyond the end. */
class DynamicSharedMemory {
 public:
  explicit DynamicSharedMemory(size_t bytes);
  ~DynamicSharedMemory();
  DynamicSharedMemory(const DynamicSharedMemory&) = delete;
  unsigned char* bytes() const { return start_; }
  void fill() const;
  bool isIntact() const;

 private:
  unsigned char* start_;
  size_t size_;
};

/** Fills the `__shared__` variables of all kernels: they lie in a section of their own. */
void fillStaticShared();

}  // namespace cudasim
