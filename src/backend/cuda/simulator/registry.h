// The kernels linked into the library. build.ts writes a registration for every `extern "C" __global__` function of a kernel file,
// so a new kernel needs no second edit.
#pragma once
#include <cstddef>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace cudasim {

struct Kernel {
  const char* name;
  void (*run)(void*);                  // once per thread, with the array of addresses of its parameters
  std::vector<size_t> parameterBytes;  // in the order of declaration
  std::vector<bool> isPointer;         // of the same
  unsigned maxThreads;                 // of __launch_bounds__, else 1024
  size_t dynamicLimit = 48 * 1024;     // grows by cuFuncSetAttribute
};

/** All kernels, in the order of registration. */
std::vector<Kernel>& kernels();
Kernel* findKernel(const char* name);

template <auto Function, class... Parameters, size_t... I>
void callKernel(void** addresses, std::index_sequence<I...>) {
  Function(*static_cast<std::remove_cv_t<std::remove_reference_t<Parameters>>*>(addresses[I])...);
}

template <auto Function, class... Parameters>
Kernel describeKernel(const char* name, unsigned maxThreads, void (*)(Parameters...)) {
  const auto run = [](void* addresses) {
    callKernel<Function, Parameters...>(static_cast<void**>(addresses), std::index_sequence_for<Parameters...>{});
  };
  return {name, run, {sizeof(Parameters)...}, {std::is_pointer_v<Parameters>...}, maxThreads};
}

struct Registration {
  explicit Registration(Kernel kernel) { kernels().push_back(std::move(kernel)); }
};

#define CUDASIM_KERNEL(function, maxThreads) \
  static const cudasim::Registration registration_##function(cudasim::describeKernel<&function>(#function, maxThreads, &function));

}  // namespace cudasim
