// While kernels run, a memory fault in one of them becomes a failure of the kernel (CUDA_ERROR_ILLEGAL_ADDRESS) and does not end the process.
#pragma once
#include <csignal>

namespace cudasim {

class FaultGuard {
 public:
  FaultGuard();
  ~FaultGuard();
  FaultGuard(const FaultGuard&) = delete;

 private:
  struct sigaction previous_[3];
  stack_t previousStack_;
};

}  // namespace cudasim
