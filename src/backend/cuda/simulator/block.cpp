// Fibers, the scheduler, the block barrier and the rendezvous of lanes.
#include "block.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#include "async-copy.h"
#include "errors.h"
#include "fiber-switch.h"
#include "guards.h"
#include "shared-memory.h"

// clang-format off
asm(R"(.text
.globl cudasim_switch
.hidden cudasim_switch
cudasim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
// clang-format on

namespace cudasim {

Options options;
Fiber* current;
Dim3 blockIndex, blockSize, gridSize;
unsigned char* dynamicShared;

namespace {

std::vector<Fiber> fibers;  // stacks are kept from launch to launch
std::vector<Warp> warps;
int threadCount, exitedCount, barrierCount;
void* schedulerStackPointer;
void (*threadFunction)(void*);
void* threadArgument;
Failure failure;
uint64_t randomState;

#if defined(__SANITIZE_ADDRESS__)
void* schedulerFakeStack;
const void* schedulerStack;
size_t schedulerStackBytes;
#endif

int lowest(uint32_t bits) { return __builtin_ctz(bits); }

int pickLane(uint32_t runnable) {
  if (options.schedule == Schedule::ascending) return lowest(runnable);
  if (options.schedule == Schedule::descending) return 31 - __builtin_clz(runnable);
  for (int skip = static_cast<int>(nextRandom() % __builtin_popcount(runnable)); skip > 0; skip--) runnable &= runnable - 1;
  return lowest(runnable);
}

void switchToFiber(Fiber& next) {  // from the scheduler
  current = &next;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&schedulerFakeStack, next.stack, stackBytes);
#endif
  cudasim_switch(&schedulerStackPointer, next.stackPointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(schedulerFakeStack, nullptr, nullptr);
#endif
}

void switchFromFiber(Fiber* next) {  // to another lane, or to the scheduler
  Fiber* self = current;
  if (next) current = next;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&self->fakeStack, next ? next->stack : schedulerStack, next ? stackBytes : schedulerStackBytes);
#endif
  cudasim_switch(&self->stackPointer, next ? next->stackPointer : schedulerStackPointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(self->fakeStack, nullptr, nullptr);
#endif
}

/** Leaves this lane to others: of its warp while one can run, else to the scheduler, which takes another warp. */
void yieldLane() {
  Fiber* self = current;
  const Warp& warp = warps[self->warp];
  // The random schedule also changes the warp now and then, or a warp would always run from barrier to barrier.
  const bool changeWarp = options.schedule == Schedule::random && nextRandom() % 4 == 0;
  if (!warp.runnable || changeWarp) return switchFromFiber(nullptr);
  Fiber* next = &fibers[self->warp * 32 + pickLane(warp.runnable)];
  if (next != self) switchFromFiber(next);
}

void openBarrierIfComplete() {
  if (barrierCount == 0 || barrierCount + exitedCount != threadCount) return;
  barrierCount = 0;
  for (Warp& warp : warps) {
    warp.runnable |= warp.atBarrier;
    warp.atBarrier = 0;
  }
}

void threadEntry() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &schedulerStack, &schedulerStackBytes);
#endif
  threadFunction(threadArgument);
  Fiber* self = current;
  Warp& warp = warps[self->warp];
  const uint32_t bit = 1u << self->lane;
  if (hasPendingCopies(*self)) fail(errorLaunchFailed, "a thread ends before it waited for its cp.async copies");
  if (warp.inCollective) {
    const Fiber& waiting = fibers[self->warp * 32 + lowest(warp.inCollective)];
    if (waiting.mask & bit) fail(errorLaunchFailed, "a lane ends while lane %d waits for it in a warp collective", waiting.lane);
  }
  warp.runnable &= ~bit;
  warp.exited |= bit;
  exitedCount++;
  openBarrierIfComplete();
  switchFromFiber(warp.runnable ? &fibers[self->warp * 32 + pickLane(warp.runnable)] : nullptr);
  __builtin_unreachable();
}

void prepareFibers() {
  const size_t needed = static_cast<size_t>(threadCount);
  while (fibers.size() < needed) {
    Fiber fiber;
    const int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    fiber.stack = static_cast<char*>(mmap(nullptr, stackBytes, protection, flags, -1, 0));
    if (fiber.stack == MAP_FAILED) {
      fprintf(stderr, "cudasim: no memory for fiber stacks\n");
      abort();
    }
    mprotect(fiber.stack, stackGuardBytes, PROT_NONE);  // so that a stack that overflows faults
    fibers.push_back(fiber);
  }
  warps.assign((threadCount + 31) / 32, Warp{});
  exitedCount = barrierCount = 0;
  for (int i = 0; i < threadCount; i++) {
    Fiber& fiber = fibers[i];
    const unsigned u = static_cast<unsigned>(i);
    fiber.lane = i & 31;
    fiber.warp = i >> 5;
    fiber.threadIndex = {u % blockSize.x, u / blockSize.x % blockSize.y, u / blockSize.x / blockSize.y};
    fiber.copies.clear();
    fiber.groupSizes.clear();
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(fiber.stack + stackGuardBytes, stackBytes - stackGuardBytes);
#endif
    // Tops of stacks at different offsets, or all of them would compete for the same sets of the processor's caches.
    fiber.stackPointer = preparedStack(fiber.stack, static_cast<size_t>(i) * 832 % 16384, threadEntry);
    warps[fiber.warp].exists |= 1u << fiber.lane;
  }
  for (Warp& warp : warps) warp.runnable = warp.exists;
}

/** Whether these lanes, which all wait, wait in the same collective with the same mask. */
bool haveSameWish(const Fiber* lanes, uint32_t which, const Fiber& wish) {
  for (; which; which &= which - 1) {
    const Fiber& lane = lanes[lowest(which)];
    if (lane.mask != wish.mask || lane.collective != wish.collective) return false;
  }
  return true;
}

const char* whyStuck() {
  for (size_t w = 0; w < warps.size(); w++) {
    if (!warps[w].inCollective) continue;
    const Fiber* lanes = &fibers[w * 32];
    if (haveSameWish(lanes, warps[w].inCollective, lanes[lowest(warps[w].inCollective)])) {
      return "deadlock: lanes wait in a warp collective for lanes that do not come";
    }
    return "deadlock: lanes of a warp wait in different collectives, or with different masks";
  }
  return "deadlock: threads wait at a block barrier for threads that do not come";
}

void runBlock() {
  prepareFibers();
  const int count = static_cast<int>(warps.size());
  while (exitedCount < threadCount && !failure.code) {
    bool progress = false;
    // The random schedule starts at a random warp each time that a lane gives up the processor.
    const int first = options.schedule == Schedule::random ? static_cast<int>(nextRandom() % count) : 0;
    for (int i = 0; i < count && !failure.code; i++) {
      const int w = options.schedule == Schedule::descending ? count - 1 - i : (first + i) % count;
      while (warps[w].runnable && !failure.code) {
        progress = true;
        switchToFiber(fibers[w * 32 + pickLane(warps[w].runnable)]);
        if (options.schedule == Schedule::random) break;
      }
    }
    if (!progress) {
      failure.code = errorLaunchFailed;
      snprintf(failure.text, sizeof failure.text, "%s (block %u,%u,%u)", whyStuck(), blockIndex.x, blockIndex.y, blockIndex.z);
    }
  }
}

/** The i-th block to run of `count`, all of them once: a random multiplier prime to `count` permutes them. */
struct BlockOrder {
  uint64_t count, start = 0, stride = 1;
  explicit BlockOrder(uint64_t blocks) : count(blocks) {
    if (options.schedule != Schedule::random) return;
    const auto divisor = [](uint64_t a, uint64_t b) {
      while (b) a %= b, std::swap(a, b);
      return a;
    };
    start = nextRandom() % count;
    do stride = nextRandom() % count + 1;
    while (divisor(stride, count) != 1);
  }
  uint64_t at(uint64_t i) const {
    return options.schedule == Schedule::descending ? count - 1 - i : (start + static_cast<__uint128_t>(i) * stride) % count;
  }
};

}  // namespace

uint64_t nextRandom() {  // xorshift64
  randomState ^= randomState << 13;
  randomState ^= randomState >> 7;
  randomState ^= randomState << 17;
  return randomState;
}

Fiber* lanesOf(int warp) { return &fibers[warp * 32]; }

void fail(int code, const char* format, ...) {
  if (!failure.code) {
    failure.code = code;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(failure.text, sizeof failure.text - 80, format, arguments);
    va_end(arguments);
    if (length > static_cast<int>(sizeof failure.text) - 80) length = static_cast<int>(sizeof failure.text) - 80;
    const Dim3 thread = current->threadIndex;
    snprintf(failure.text + length, sizeof failure.text - length, " (block %u,%u,%u thread %u,%u,%u)", blockIndex.x, blockIndex.y,
             blockIndex.z, thread.x, thread.y, thread.z);
  }
  switchFromFiber(nullptr);
  __builtin_unreachable();
}

void blockBarrier() {
  Warp& warp = warps[current->warp];
  const uint32_t bit = 1u << current->lane;
  warp.runnable &= ~bit;
  warp.atBarrier |= bit;
  barrierCount++;
  openBarrierIfComplete();
  if (!(warp.runnable & bit)) yieldLane();
}

void meet(Collective collective, uint32_t mask, const void* given, void* wanted, void (*resolve)(Fiber*, uint32_t)) {
  Fiber* self = current;
  Warp& warp = warps[self->warp];
  const uint32_t bit = 1u << self->lane, expected = mask & warp.exists;
  if (!(mask & bit)) fail(errorLaunchFailed, "a lane calls a warp collective with a mask (%08x) that lacks it", mask);
  if (mask & warp.exited) fail(errorLaunchFailed, "a warp collective (mask %08x) waits for a lane that has ended", mask);
  Fiber* lanes = lanesOf(self->warp);
  self->collective = collective;
  self->mask = mask;
  self->given = given;
  self->wanted = wanted;
  warp.inCollective |= bit;
  warp.runnable &= ~bit;
  if ((warp.inCollective & expected) == expected && haveSameWish(lanes, expected, *self)) {
    resolve(lanes, expected);
    warp.inCollective &= ~expected;
    warp.runnable |= expected;
    if (options.schedule != Schedule::random) return;
  }
  yieldLane();
}

Failure runGrid(Dim3 grid, Dim3 block, size_t dynamicSharedBytes, void (*thread)(void*), void* argument) {
  gridSize = grid;
  blockSize = block;
  threadCount = static_cast<int>(block.x * block.y * block.z);
  threadFunction = thread;
  threadArgument = argument;
  failure = Failure{};
  randomState = (options.seed + 1) * 0x9e3779b97f4a7c15ull;
  const uint64_t blocks = static_cast<uint64_t>(grid.x) * grid.y * grid.z;
  const BlockOrder order(blocks);
  const DynamicSharedMemory shared(dynamicSharedBytes);
  const FaultGuard guard;
  dynamicShared = shared.bytes();
  for (uint64_t i = 0; i < blocks && !failure.code; i++) {
    const uint64_t b = order.at(i);
    blockIndex = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                  static_cast<unsigned>(b / grid.x / grid.y)};
    shared.fill();
    fillStaticShared();
    runBlock();
    if (!failure.code && !shared.isIntact()) {
      failure.code = errorIllegalAddress;
      snprintf(failure.text, sizeof failure.text, "the kernel wrote beyond its %zu bytes of dynamic shared memory (block %u,%u,%u)",
               dynamicSharedBytes, blockIndex.x, blockIndex.y, blockIndex.z);
    }
  }
  return failure;
}

}  // namespace cudasim
