// State of the simulated driver: one device, its memory, streams of queued operations, and what every call does first.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "block.h"
#include "errors.h"
#include "registry.h"

#define CUDA_API extern "C" __attribute__((visibility("default")))

namespace cudasim {

/** One piece of device work; returns a CUresult, which becomes the context's sticky error where it is none of errorNone. */
using Operation = std::function<int()>;

struct Graph {
  std::vector<Operation> nodes;
};

struct Capture {
  std::shared_ptr<Graph> graph;
  bool invalidated = false;
};

struct Stream {
  std::vector<Operation> queue;      // not yet run, in the deferred mode
  unsigned queries = 0;              // since the last operation was queued
  std::shared_ptr<Capture> capture;  // shared by streams that joined it
  bool isCaptureOrigin = false;
};

struct Event {
  bool recorded = false;
  Stream* pendingIn = nullptr;       // recorded in a stream that has not come to it
  uint64_t generation = 0;           // of records, so that an older record's operation does not complete a newer one
  std::shared_ptr<Capture> capture;  // recorded while its stream was captured
  bool hasTime = true;
  double milliseconds = 0;
};

struct Module {
  std::string ptx;  // empty for an image that is no text
};

struct Allocation {
  size_t bytes;
  unsigned char* base;  // what to release; marked bytes lie around the allocation
};

struct Driver {
  std::recursive_mutex mutex;
  bool initialized = false;
  int contextReferences = 0;  // of the primary context
  int stickyError = 0;        // of the context: after it nothing works until the context is released
  std::string message;        // of the last failure
  bool deferred = false;      // operations run when something waits for them, as late as the API allows
  int deviceCount = 1;
  int driverVersion = 13000;
  int computeCapability = 80;
  size_t memoryBytes = size_t{1} << 30;
  size_t allocatedBytes = 0;
  std::map<uintptr_t, Allocation> allocations;
  std::map<uintptr_t, size_t> pinned;
  std::set<Stream*> streams;
  std::set<Event*> events;
  std::set<Module*> modules;
  std::set<Graph*> graphs;
  std::set<Graph*> executables;
  std::map<Graph*, std::shared_ptr<Graph>> graphOwners;
  Stream defaultStream;
};
extern Driver driver;

/** The primary context's handle, and the one current on the calling thread (or null). */
extern void* const primaryContext;
extern thread_local void* currentContext;

enum class Needs { nothing, initialization, context };

/**
 * One exported function: counts its calls and fails the one that a test asked to fail. Each function holds the lock while it runs.
 * Usage: `static Call call("cuMemFree_v2"); if (const int error = call.begin(Needs::context)) return error;`
 */
class Call {
 public:
  explicit Call(const char* name);
  int begin(Needs needs);

 private:
  const char* name_;
};

#define CUDASIM_CALL(name, needs)                                        \
  const std::lock_guard<std::recursive_mutex> lock(cudasim::driver.mutex); \
  static cudasim::Call call(#name);                                      \
  if (const int error = call.begin(cudasim::Needs::needs)) return error

/** Remembers a sticky error and the text for it. */
void setSticky(int code, const std::string& message);

/** Queues work: into the capture of the stream, its queue (deferred mode), or at once. `stream` may be null: the default one. */
int enqueue(Stream* stream, Operation operation);
/** Runs what waits in a stream. Returns the sticky error. */
int drain(Stream& stream);
int drainAll();
/** The stream of a handle: null is the default one; invalid handles give null. */
Stream* streamOf(void* handle);
/** Whether any stream is being captured: most calls that are no part of a capture are then illegal and spoil it. */
bool isCapturing();
int spoilCaptures();

/** Whether the bytes lie within one allocation of the device. */
bool isDeviceRange(uintptr_t address, size_t bytes);
bool isPinned(const void* address, size_t bytes);
/** Checks the marked bytes around all allocations; errorIllegalAddress where a kernel overwrote one. */
int checkMarks();
void releaseAllMemory();
/** Forgets every handle and all memory, as the end of the context does. */
void destroyContext();

}  // namespace cudasim
