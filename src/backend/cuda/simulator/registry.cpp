#include "registry.h"

namespace cudasim {

std::vector<Kernel>& kernels() {
  static std::vector<Kernel> all;  // made at the first registration, whatever the order of static constructors
  return all;
}

Kernel* findKernel(const char* name) {
  for (Kernel& kernel : kernels()) {
    if (strcmp(kernel.name, name) == 0) return &kernel;
  }
  return nullptr;
}

}  // namespace cudasim
