// What tests set beyond CUDA's own functions: the schedule, the device, and calls that shall fail. All names start with cudasim.
#include <cstdlib>
#include <cstring>

#include "driver.h"
#include "warp.h"

namespace cudasim {

Driver driver;
static int contextTag;
void* const primaryContext = &contextTag;
thread_local void* currentContext;

namespace {

struct Injection {
  uint64_t call;  // counted from the injection on, 1 is the next
  int code;
};

struct Counter {
  uint64_t calls = 0;
  std::vector<Injection> injections;
};

std::map<std::string, Counter>& counters() {
  static std::map<std::string, Counter> all;
  return all;
}

}  // namespace

Call::Call(const char* name) : name_(name) {}

int Call::begin(Needs needs) {
  Counter& counter = counters()[name_];
  counter.calls++;
  for (const Injection& injection : counter.injections) {
    if (injection.call != counter.calls) continue;
    driver.message = std::string(name_) + ": a failure that a test injected";
    return injection.code;
  }
  if (needs == Needs::nothing) return errorNone;
  if (!driver.initialized) return errorNotInitialized;
  if (needs == Needs::initialization) return errorNone;
  if (currentContext != primaryContext || driver.contextReferences == 0) return errorInvalidContext;
  return driver.stickyError;
}

void setSticky(int code, const std::string& message) {
  if (driver.stickyError) return;
  driver.stickyError = code;
  driver.message = message;
}

}  // namespace cudasim

using namespace cudasim;

/** 0 ascending, 1 descending, 2 random; 0 late, 1 immediate copies; the seed of the random schedule. */
CUDA_API int cudasimSetSchedule(int schedule, int asyncCopies, unsigned seed) {
  if (schedule < 0 || schedule > 2 || asyncCopies < 0 || asyncCopies > 1) return errorInvalidValue;
  options = {static_cast<Schedule>(schedule), static_cast<AsyncCopies>(asyncCopies), seed};
  return errorNone;
}

/** With 1, queued work runs only when something waits for it. */
CUDA_API int cudasimSetDeferred(int deferred) {
  driver.deferred = deferred != 0;
  return deferred ? errorNone : drainAll();
}

CUDA_API int cudasimSetMemory(uint64_t bytes) {
  driver.memoryBytes = bytes;
  return errorNone;
}

/** How many devices there are, the driver's version (13000 is 13.0) and the compute capability (80 is 8.0). */
CUDA_API int cudasimSetDevice(int count, int driverVersion, int computeCapability) {
  driver.deviceCount = count;
  driver.driverVersion = driverVersion;
  driver.computeCapability = computeCapability;
  return errorNone;
}

/** Makes the n-th call of `function` from now on (1: the next) return `code` without doing anything. */
CUDA_API int cudasimInjectFailure(const char* function, unsigned n, int code) {
  Counter& counter = counters()[function];
  counter.injections.push_back({counter.calls + n, code});
  return errorNone;
}

/** Calls of an exported function since the library was loaded or reset; of all of them for an empty name. */
CUDA_API uint64_t cudasimCallCount(const char* function) {
  if (*function) return counters()[function].calls;
  uint64_t calls = 0;
  for (const auto& [name, counter] : counters()) calls += counter.calls;
  return calls;
}

/** Bank conflicts of ldmatrix since the library was loaded or reset. */
CUDA_API uint64_t cudasimBankConflicts() { return bankConflicts; }

/** What went wrong last, in words; empty where nothing did. */
CUDA_API const char* cudasimMessage() { return driver.message.c_str(); }

/** The i-th kernel's name, or null past the last. */
CUDA_API const char* cudasimKernelName(unsigned i) { return i < kernels().size() ? kernels()[i].name : nullptr; }

/** Everything as when the library was loaded. */
CUDA_API int cudasimReset() {
  destroyContext();
  counters().clear();
  driver.initialized = false;
  driver.deferred = false;
  driver.deviceCount = 1;
  driver.driverVersion = 13000;
  driver.computeCapability = 80;
  driver.memoryBytes = size_t{1} << 30;
  driver.message.clear();
  bankConflicts = 0;
  currentContext = nullptr;
  options = Options{};
  return errorNone;
}
