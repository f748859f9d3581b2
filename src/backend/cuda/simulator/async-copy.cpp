#include "async-copy.h"

#include <cstring>

#include "errors.h"

namespace cudasim {

static void deliver(const PendingCopy& copy) {
  unsigned char line[16] = {};
  if (copy.bytes) memcpy(line, copy.from, copy.bytes);
  memcpy(copy.to, line, 16);
}

void issueCopy(void* shared, const void* global, int bytes) {
  if ((reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global)) & 15) {
    fail(errorMisalignedAddress, "cp.async of 16 bytes with an address that is no multiple of 16");
  }
  if (bytes < 0 || bytes > 16) fail(errorLaunchFailed, "cp.async with a source size of %d", bytes);
  const PendingCopy copy{shared, global, static_cast<unsigned>(bytes)};
  if (options.asyncCopies == AsyncCopies::immediate) return deliver(copy);
  memset(shared, 0xff, 16);
  current->copies.push_back(copy);
}

static size_t committed(const Fiber& fiber) {
  size_t sum = 0;
  for (const unsigned size : fiber.groupSizes) sum += size;
  return sum;
}

void commitCopies() {
  if (options.asyncCopies == AsyncCopies::immediate) return;
  current->groupSizes.push_back(static_cast<unsigned>(current->copies.size() - committed(*current)));
}

void waitForCopies(int remaining) {
  auto& groups = current->groupSizes;
  auto& copies = current->copies;
  size_t delivered = 0;
  while (static_cast<int>(groups.size()) > remaining) {
    for (unsigned i = 0; i < groups.front(); i++) deliver(copies[delivered++]);
    groups.erase(groups.begin());
  }
  copies.erase(copies.begin(), copies.begin() + static_cast<long>(delivered));
}

bool hasPendingCopies(const Fiber& fiber) { return !fiber.copies.empty(); }

}  // namespace cudasim
