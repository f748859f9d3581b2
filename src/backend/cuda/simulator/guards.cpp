#include "guards.h"

#include <ucontext.h>

#include <cstdint>

#include "block.h"
#include "errors.h"
#include "fiber-switch.h"

namespace cudasim {
namespace {

constexpr int guarded[] = {SIGSEGV, SIGBUS, SIGFPE};
alignas(16) char handlerStack[64 * 1024];
const void* faultAddress;
bool isStackOverflow, isDivision;

/** Runs on the fiber, as if the faulting instruction had called it. */
[[noreturn]] void failAfterFault() {
  if (isStackOverflow) fail(errorLaunchFailed, "a thread's stack overflowed");
  if (isDivision) fail(errorLaunchFailed, "an integer was divided by zero, which gives no error but nonsense on a GPU");
  fail(errorIllegalAddress, "the kernel faulted: address %p is not mapped or a wide access to it is misaligned", faultAddress);
}

void handle(int signal, siginfo_t* information, void* context) {
  faultAddress = information->si_addr;
  isDivision = signal == SIGFPE;
  const char* guard = current->stack;
  isStackOverflow = faultAddress >= guard && faultAddress < guard + stackGuardBytes;
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  // Continue at the top of the fiber's stack: it is not resumed, and after an overflow there is no room below.
  registers[REG_RSP] = static_cast<greg_t>((reinterpret_cast<uintptr_t>(current->stack) + 128 * 1024) & ~uintptr_t{15}) - 8;
  registers[REG_RIP] = reinterpret_cast<greg_t>(&failAfterFault);
}

}  // namespace

FaultGuard::FaultGuard() {
#if !defined(__SANITIZE_ADDRESS__)  // the sanitizer explains faults itself
  stack_t stack{};
  stack.ss_sp = handlerStack;
  stack.ss_size = sizeof handlerStack;
  sigaltstack(&stack, &previousStack_);
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int i = 0; i < 3; i++) sigaction(guarded[i], &action, &previous_[i]);
#endif
}

FaultGuard::~FaultGuard() {
#if !defined(__SANITIZE_ADDRESS__)
  for (int i = 0; i < 3; i++) sigaction(guarded[i], &previous_[i], nullptr);
  sigaltstack(&previousStack_, nullptr);
#endif
}

}  // namespace cudasim
