// The block that is running: a fiber per CUDA thread, warps as bit masks, one scheduler. Blocks of a grid run one after another,
// everything on the calling operating-system thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace cudasim {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

/** In which order runnable lanes, warps and blocks are taken. A correct kernel gives the same bits under all of them. */
enum class Schedule { ascending = 0, descending = 1, random = 2 };

/** When cp.async writes: only when the thread waits for its group, with NaNs there until then, or at once. Both are legal. */
enum class AsyncCopies { late = 0, immediate = 1 };

struct Options {
  Schedule schedule = Schedule::ascending;
  AsyncCopies asyncCopies = AsyncCopies::late;
  uint64_t seed = 1;  // of the random schedule
};
extern Options options;

struct PendingCopy {
  void* to;
  const void* from;
  unsigned bytes;  // of 16, the rest becomes zero
};

/** What the lanes of a warp do together. Lanes that meet must have come for the same thing. */
enum class Collective : uint8_t { sync, shuffle, ballot, matrixLoad, matrixLoadTransposed, matrixMultiply };

struct Fiber {
  void* stackPointer = nullptr;
  char* stack = nullptr;
  void* fakeStack = nullptr;  // AddressSanitizer's
  Dim3 threadIndex;
  int lane = 0, warp = 0;

  // Of the collective this lane waits in: what it gives, and where it wants the result. They lie on the waiting lane's stack.
  Collective collective = Collective::sync;
  uint32_t mask = 0;
  const void* given = nullptr;
  void* wanted = nullptr;

  std::vector<PendingCopy> copies;   // issued by cp.async, oldest first
  std::vector<unsigned> groupSizes;  // of committed groups, oldest first; what copies has beyond their sum is uncommitted
};

struct Warp {
  uint32_t exists = 0, exited = 0;  // lanes
  uint32_t runnable = 0;            // neither waiting nor exited
  uint32_t inCollective = 0, atBarrier = 0;
};

extern Fiber* current;  // the running lane
extern Dim3 blockIndex, blockSize, gridSize;
extern unsigned char* dynamicShared;

/** The fibers of a warp, by lane. */
Fiber* lanesOf(int warp);

/** What a failed kernel leaves: a driver error code (0: none) and the text that a person needs. */
struct Failure {
  int code = 0;
  char text[512] = "";
};

/**
 * Ends the running kernel: remembers the code and the text with the place (block, thread) and never returns to this fiber.
 * The remaining threads and blocks do not run.
 */
[[noreturn]] void fail(int code, const char* format, ...) __attribute__((format(printf, 2, 3)));

/** Waits until all threads of the block that have not exited are here: __syncthreads. */
void blockBarrier();

/**
 * Meets the other lanes of `mask`; the last to come runs `resolve` over the waiting lanes (bits of its second argument), which reads
 * `given` and writes `wanted` of each. Fails where lanes of the mask came for something else or have exited.
 */
void meet(Collective collective, uint32_t mask, const void* given, void* wanted, void (*resolve)(Fiber*, uint32_t));

/** Runs all blocks of a grid: `thread(argument)` once per thread. */
Failure runGrid(Dim3 grid, Dim3 block, size_t dynamicSharedBytes, void (*thread)(void*), void* argument);

/** A pseudo-random number of the current launch, for schedules only. */
uint64_t nextRandom();

}  // namespace cudasim
