// Device memory, pinned host memory, copies and fills. Fresh memory is filled with 0xff (NaN in every float format), and marked bytes
// around every allocation show a kernel that writes outside of it.
#include <cstdlib>
#include <cstring>

#include "driver.h"

namespace cudasim {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t markBytes = 0;  // the sanitizer has zones of its own, right behind the last byte
#else
constexpr size_t markBytes = 256;
#endif
constexpr unsigned char mark = 0xff;  // a read beyond the end gives NaN

bool isMarked(const unsigned char* from, const unsigned char* to) {
  for (; from < to; from++) {
    if (*from != mark) return false;
  }
  return true;
}

}  // namespace

bool isDeviceRange(uintptr_t address, size_t bytes) {
  auto next = driver.allocations.upper_bound(address);
  if (next == driver.allocations.begin()) return false;
  const auto& [start, allocation] = *--next;
  return address - start <= allocation.bytes && bytes <= allocation.bytes - (address - start);
}

bool isPinned(const void* pointer, size_t bytes) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
  auto next = driver.pinned.upper_bound(address);
  if (next == driver.pinned.begin()) return false;
  const auto& [start, size] = *--next;
  return address - start <= size && bytes <= size - (address - start);
}

int checkMarks() {
  if (markBytes == 0) return errorNone;
  for (const auto& [start, allocation] : driver.allocations) {
    const unsigned char* first = reinterpret_cast<const unsigned char*>(start);
    if (isMarked(first - markBytes, first) && isMarked(first + allocation.bytes, first + allocation.bytes + markBytes)) continue;
    setSticky(errorIllegalAddress, "a write outside of an allocation of " + std::to_string(allocation.bytes) + " bytes");
    return errorIllegalAddress;
  }
  return errorNone;
}

void releaseAllMemory() {
  for (const auto& entry : driver.allocations) free(entry.second.base);
  driver.allocations.clear();
  driver.allocatedBytes = 0;
}

}  // namespace cudasim

using namespace cudasim;

CUDA_API int cuMemAlloc_v2(uintptr_t* address, size_t bytes) {
  CUDASIM_CALL(cuMemAlloc_v2, context);
  if (isCapturing()) return spoilCaptures();
  if (!address || bytes == 0) return errorInvalidValue;
  if (bytes > driver.memoryBytes - driver.allocatedBytes) return errorOutOfMemory;
  void* base = nullptr;
  if (posix_memalign(&base, 256, bytes + 2 * markBytes) != 0) return errorOutOfMemory;
  memset(base, 0xff, bytes + 2 * markBytes);
  *address = reinterpret_cast<uintptr_t>(base) + markBytes;
  driver.allocations[*address] = {bytes, static_cast<unsigned char*>(base)};
  driver.allocatedBytes += bytes;
  return errorNone;
}

CUDA_API int cuMemFree_v2(uintptr_t address) {
  CUDASIM_CALL(cuMemFree_v2, context);
  if (address == 0) return errorNone;
  if (isCapturing()) return spoilCaptures();
  const auto found = driver.allocations.find(address);
  if (found == driver.allocations.end()) return errorInvalidValue;
  if (const int error = drainAll()) return error;
  if (const int error = checkMarks()) return error;
  driver.allocatedBytes -= found->second.bytes;
  free(found->second.base);
  driver.allocations.erase(found);
  return errorNone;
}

CUDA_API int cuMemGetInfo_v2(size_t* freeBytes, size_t* totalBytes) {
  CUDASIM_CALL(cuMemGetInfo_v2, context);
  *freeBytes = driver.memoryBytes - driver.allocatedBytes;
  *totalBytes = driver.memoryBytes;
  return errorNone;
}

CUDA_API int cuMemHostAlloc(void** pointer, size_t bytes, unsigned) {
  CUDASIM_CALL(cuMemHostAlloc, context);
  if (isCapturing()) return spoilCaptures();
  if (!pointer || bytes == 0) return errorInvalidValue;
  if (posix_memalign(pointer, 4096, bytes) != 0) return errorOutOfMemory;
  memset(*pointer, 0xff, bytes);
  driver.pinned[reinterpret_cast<uintptr_t>(*pointer)] = bytes;
  return errorNone;
}

CUDA_API int cuMemFreeHost(void* pointer) {
  CUDASIM_CALL(cuMemFreeHost, context);
  if (!driver.pinned.erase(reinterpret_cast<uintptr_t>(pointer))) return errorInvalidValue;
  if (const int error = drainAll()) return error;
  free(pointer);
  return errorNone;
}

CUDA_API int cuMemHostGetDevicePointer_v2(uintptr_t* address, void* pointer, unsigned) {
  CUDASIM_CALL(cuMemHostGetDevicePointer_v2, context);
  if (!isPinned(pointer, 1)) return errorInvalidValue;
  *address = reinterpret_cast<uintptr_t>(pointer);
  return errorNone;
}

static int copyBytes(void* to, const void* from, size_t bytes) {
  memmove(to, from, bytes);
  return errorNone;
}

CUDA_API int cuMemcpyHtoDAsync_v2(uintptr_t to, const void* from, size_t bytes, void* handle) {
  CUDASIM_CALL(cuMemcpyHtoDAsync_v2, context);
  Stream* stream = streamOf(handle);
  if (!stream) return errorInvalidHandle;
  if (!from || !isDeviceRange(to, bytes)) return errorInvalidValue;
  void* target = reinterpret_cast<void*>(to);
  // Pageable memory has been read when the call returns; pinned memory is read when the work runs, also by a graph.
  if (isPinned(from, bytes) || stream->capture) return enqueue(stream, [=] { return copyBytes(target, from, bytes); });
  const char* first = static_cast<const char*>(from);
  return enqueue(stream, [target, staged = std::vector<char>(first, first + bytes)] {
    return copyBytes(target, staged.data(), staged.size());
  });
}

CUDA_API int cuMemcpyDtoHAsync_v2(void* to, uintptr_t from, size_t bytes, void* handle) {
  CUDASIM_CALL(cuMemcpyDtoHAsync_v2, context);
  Stream* stream = streamOf(handle);
  if (!stream) return errorInvalidHandle;
  if (!to || !isDeviceRange(from, bytes)) return errorInvalidValue;
  const bool waits = !isPinned(to, bytes) && !stream->capture;
  if (const int error = enqueue(stream, [=] { return copyBytes(to, reinterpret_cast<void*>(from), bytes); })) return error;
  return waits ? drain(*stream) : errorNone;
}

CUDA_API int cuMemcpyDtoDAsync_v2(uintptr_t to, uintptr_t from, size_t bytes, void* handle) {
  CUDASIM_CALL(cuMemcpyDtoDAsync_v2, context);
  Stream* stream = streamOf(handle);
  if (!stream) return errorInvalidHandle;
  if (!isDeviceRange(to, bytes) || !isDeviceRange(from, bytes)) return errorInvalidValue;
  return enqueue(stream, [=] { return copyBytes(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes); });
}

CUDA_API int cuMemcpyHtoD_v2(uintptr_t to, const void* from, size_t bytes) {
  CUDASIM_CALL(cuMemcpyHtoD_v2, context);
  if (isCapturing()) return spoilCaptures();
  if (!from || !isDeviceRange(to, bytes)) return errorInvalidValue;
  if (const int error = drainAll()) return error;
  return copyBytes(reinterpret_cast<void*>(to), from, bytes);
}

CUDA_API int cuMemcpyDtoH_v2(void* to, uintptr_t from, size_t bytes) {
  CUDASIM_CALL(cuMemcpyDtoH_v2, context);
  if (isCapturing()) return spoilCaptures();
  if (!to || !isDeviceRange(from, bytes)) return errorInvalidValue;
  if (const int error = drainAll()) return error;
  return copyBytes(to, reinterpret_cast<void*>(from), bytes);
}

template <class T>
static int fillAsync(uintptr_t to, T value, size_t count, void* handle) {
  Stream* stream = streamOf(handle);
  if (!stream) return errorInvalidHandle;
  if (to % sizeof(T) || !isDeviceRange(to, count * sizeof(T))) return errorInvalidValue;
  return enqueue(stream, [=] {
    T* target = reinterpret_cast<T*>(to);
    for (size_t i = 0; i < count; i++) target[i] = value;
    return static_cast<int>(errorNone);
  });
}

CUDA_API int cuMemsetD8Async(uintptr_t to, unsigned char value, size_t count, void* handle) {
  CUDASIM_CALL(cuMemsetD8Async, context);
  return fillAsync(to, value, count, handle);
}

CUDA_API int cuMemsetD16Async(uintptr_t to, unsigned short value, size_t count, void* handle) {
  CUDASIM_CALL(cuMemsetD16Async, context);
  return fillAsync(to, value, count, handle);
}

CUDA_API int cuMemsetD32Async(uintptr_t to, unsigned value, size_t count, void* handle) {
  CUDASIM_CALL(cuMemsetD32Async, context);
  return fillAsync(to, value, count, handle);
}
