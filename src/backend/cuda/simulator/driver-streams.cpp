// Streams, events, capture and graphs. Work runs when it is queued, or in the deferred mode when something waits for it.
#include <time.h>

#include <algorithm>

#include "driver.h"

namespace cudasim {

static void runOperation(const Operation& operation) {
  if (driver.stickyError) return;
  if (const int error = operation()) setSticky(error, driver.message);
}

int drain(Stream& stream) {
  std::vector<Operation> queue;
  queue.swap(stream.queue);
  for (const Operation& operation : queue) runOperation(operation);
  return driver.stickyError;
}

int drainAll() {
  drain(driver.defaultStream);
  for (Stream* stream : driver.streams) drain(*stream);
  return driver.stickyError;
}

int enqueue(Stream* stream, Operation operation) {
  if (stream->capture) {
    if (stream->capture->invalidated) return errorCaptureInvalidated;
    stream->capture->graph->nodes.push_back(std::move(operation));
    return errorNone;
  }
  if (stream == &driver.defaultStream) {  // the legacy stream waits for all others, and they for it
    if (isCapturing()) return spoilCaptures(), errorCaptureImplicit;
    drainAll();
    runOperation(operation);
  } else if (driver.deferred) {
    stream->queue.push_back(std::move(operation));
    stream->queries = 0;
  } else {
    runOperation(operation);
  }
  return errorNone;  // what goes wrong on the device is told by later calls
}

Stream* streamOf(void* handle) {
  if (handle == nullptr || handle == reinterpret_cast<void*>(1)) return &driver.defaultStream;
  Stream* stream = static_cast<Stream*>(handle);
  return driver.streams.count(stream) ? stream : nullptr;
}

bool isCapturing() {
  for (const Stream* stream : driver.streams) {
    if (stream->capture) return true;
  }
  return false;
}

int spoilCaptures() {
  for (const Stream* stream : driver.streams) {
    if (stream->capture) stream->capture->invalidated = true;
  }
  return errorCaptureUnsupported;
}

void destroyContext() {
  driver.defaultStream = Stream{};
  for (Stream* stream : driver.streams) delete stream;
  for (Event* event : driver.events) delete event;
  for (Module* module : driver.modules) delete module;
  driver.streams.clear();
  driver.events.clear();
  driver.modules.clear();
  driver.graphs.clear();
  driver.executables.clear();
  driver.graphOwners.clear();
  releaseAllMemory();
  for (Kernel& kernel : kernels()) kernel.dynamicLimit = 48 * 1024;
  driver.contextReferences = 0;
  driver.stickyError = 0;
}

}  // namespace cudasim

using namespace cudasim;

static Event* eventOf(void* handle) {
  Event* event = static_cast<Event*>(handle);
  return driver.events.count(event) ? event : nullptr;
}

static double nowMilliseconds() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

CUDA_API int cuStreamCreate(void** handle, unsigned flags) {
  CUDASIM_CALL(cuStreamCreate, context);
  if (!handle || flags > 1) return errorInvalidValue;
  Stream* stream = new Stream;
  driver.streams.insert(stream);
  *handle = stream;
  return errorNone;
}

CUDA_API int cuStreamCreateWithPriority(void** handle, unsigned flags, int) {
  CUDASIM_CALL(cuStreamCreateWithPriority, context);
  return cuStreamCreate(handle, flags);
}

CUDA_API int cuStreamDestroy_v2(void* handle) {
  CUDASIM_CALL(cuStreamDestroy_v2, context);
  Stream* stream = streamOf(handle);
  if (!handle || !stream) return errorInvalidHandle;
  drain(*stream);
  driver.streams.erase(stream);
  delete stream;
  return errorNone;
}

CUDA_API int cuStreamSynchronize(void* handle) {
  CUDASIM_CALL(cuStreamSynchronize, context);
  Stream* stream = streamOf(handle);
  if (!stream) return errorInvalidHandle;
  if (stream->capture) return spoilCaptures();
  return stream == &driver.defaultStream ? drainAll() : drain(*stream);
}

/**
 * In the deferred mode a query finds the work unfinished. The first lets one operation run, the next two, and so on: who asks rarely
 * gets on as well.
 */
static int query(Stream& stream) {
  if (stream.queue.empty()) return errorNone;
  const auto begin = stream.queue.begin();
  const auto end = begin + std::min<size_t>(++stream.queries, stream.queue.size());
  const std::vector<Operation> first(std::make_move_iterator(begin), std::make_move_iterator(end));
  stream.queue.erase(begin, end);
  for (const Operation& operation : first) runOperation(operation);
  return errorNotReady;
}

CUDA_API int cuStreamQuery(void* handle) {
  CUDASIM_CALL(cuStreamQuery, context);
  Stream* stream = streamOf(handle);
  if (!stream) return errorInvalidHandle;
  return stream->capture ? spoilCaptures() : query(*stream);
}

CUDA_API int cuStreamWaitEvent(void* handle, void* eventHandle, unsigned) {
  CUDASIM_CALL(cuStreamWaitEvent, context);
  Stream* stream = streamOf(handle);
  Event* event = eventOf(eventHandle);
  if (!stream || !event) return errorInvalidHandle;
  if (event->capture) {
    if (stream->capture && stream->capture != event->capture) return spoilCaptures();
    stream->capture = event->capture;  // this stream's work becomes part of the capture
    return errorNone;
  }
  if (stream->capture) return spoilCaptures();
  // Streams run when drained; the work that the event stands for is drained first.
  if (event->pendingIn && driver.streams.count(event->pendingIn) && event->pendingIn != stream) return drain(*event->pendingIn);
  return errorNone;
}

CUDA_API int cuEventCreate(void** handle, unsigned flags) {
  CUDASIM_CALL(cuEventCreate, context);
  Event* event = new Event;
  event->hasTime = !(flags & 2);
  driver.events.insert(event);
  *handle = event;
  return errorNone;
}

CUDA_API int cuEventDestroy_v2(void* handle) {
  CUDASIM_CALL(cuEventDestroy_v2, context);
  Event* event = eventOf(handle);
  if (!event) return errorInvalidHandle;
  driver.events.erase(event);
  delete event;
  return errorNone;
}

CUDA_API int cuEventRecord(void* handle, void* streamHandle) {
  CUDASIM_CALL(cuEventRecord, context);
  Event* event = eventOf(handle);
  Stream* stream = streamOf(streamHandle);
  if (!event || !stream) return errorInvalidHandle;
  event->capture = stream->capture;
  if (stream->capture) return stream->capture->invalidated ? errorCaptureInvalidated : errorNone;
  event->recorded = true;
  event->pendingIn = stream;
  const uint64_t generation = ++event->generation;
  return enqueue(stream, [=] {
    if (driver.events.count(event) && event->generation == generation) {
      event->pendingIn = nullptr;
      event->milliseconds = nowMilliseconds();
    }
    return static_cast<int>(errorNone);
  });
}

CUDA_API int cuEventQuery(void* handle) {
  CUDASIM_CALL(cuEventQuery, context);
  Event* event = eventOf(handle);
  if (!event) return errorInvalidHandle;
  if (event->capture) return spoilCaptures();
  if (!event->pendingIn) return errorNone;
  query(*event->pendingIn);
  return errorNotReady;
}

CUDA_API int cuEventSynchronize(void* handle) {
  CUDASIM_CALL(cuEventSynchronize, context);
  Event* event = eventOf(handle);
  if (!event) return errorInvalidHandle;
  if (event->capture) return spoilCaptures();
  return event->pendingIn ? drain(*event->pendingIn) : errorNone;
}

CUDA_API int cuEventElapsedTime(float* milliseconds, void* startHandle, void* endHandle) {
  CUDASIM_CALL(cuEventElapsedTime, context);
  Event *start = eventOf(startHandle), *end = eventOf(endHandle);
  if (!start || !end || !start->recorded || !end->recorded || !start->hasTime || !end->hasTime) return errorInvalidHandle;
  if (start->pendingIn || end->pendingIn) return errorNotReady;
  *milliseconds = static_cast<float>(end->milliseconds - start->milliseconds);
  return errorNone;
}

CUDA_API int cuStreamBeginCapture_v2(void* handle, int mode) {
  CUDASIM_CALL(cuStreamBeginCapture_v2, context);
  Stream* stream = streamOf(handle);
  if (!stream) return errorInvalidHandle;
  if (mode < 0 || mode > 2) return errorInvalidValue;
  if (stream == &driver.defaultStream || stream->capture) return errorCaptureUnsupported;
  drain(*stream);
  stream->capture = std::make_shared<Capture>(Capture{std::make_shared<Graph>()});
  stream->isCaptureOrigin = true;
  return errorNone;
}

CUDA_API int cuStreamIsCapturing(void* handle, int* status) {
  CUDASIM_CALL(cuStreamIsCapturing, context);
  Stream* stream = streamOf(handle);
  if (!stream) return errorInvalidHandle;
  *status = !stream->capture ? 0 : stream->capture->invalidated ? 2 : 1;
  return errorNone;
}

CUDA_API int cuStreamEndCapture(void* handle, void** graph) {
  CUDASIM_CALL(cuStreamEndCapture, context);
  Stream* stream = streamOf(handle);
  if (!stream) return errorInvalidHandle;
  *graph = nullptr;
  const std::shared_ptr<Capture> capture = stream->capture;
  if (!capture || !stream->isCaptureOrigin) return errorCaptureUnmatched;
  for (Stream* joined : driver.streams) {
    if (joined->capture == capture) joined->capture = nullptr;
  }
  stream->isCaptureOrigin = false;
  if (capture->invalidated) return errorCaptureInvalidated;
  driver.graphs.insert(capture->graph.get());
  driver.graphOwners[capture->graph.get()] = capture->graph;
  *graph = capture->graph.get();
  return errorNone;
}

CUDA_API int cuGraphGetNodes(void* handle, void** nodes, size_t* count) {
  CUDASIM_CALL(cuGraphGetNodes, context);
  Graph* graph = static_cast<Graph*>(handle);
  if (!driver.graphs.count(graph)) return errorInvalidValue;
  if (nodes) return errorNotSupported;
  *count = graph->nodes.size();
  return errorNone;
}

CUDA_API int cuGraphInstantiateWithFlags(void** executable, void* handle, unsigned long long) {
  CUDASIM_CALL(cuGraphInstantiateWithFlags, context);
  Graph* graph = static_cast<Graph*>(handle);
  if (!driver.graphs.count(graph)) return errorInvalidValue;
  auto copy = std::make_shared<Graph>(*graph);
  driver.executables.insert(copy.get());
  driver.graphOwners[copy.get()] = copy;
  *executable = copy.get();
  return errorNone;
}

CUDA_API int cuGraphUpload(void* executable, void* streamHandle) {
  CUDASIM_CALL(cuGraphUpload, context);
  if (!driver.executables.count(static_cast<Graph*>(executable))) return errorInvalidValue;
  return streamOf(streamHandle) ? errorNone : errorInvalidHandle;
}

CUDA_API int cuGraphLaunch(void* executable, void* streamHandle) {
  CUDASIM_CALL(cuGraphLaunch, context);
  Stream* stream = streamOf(streamHandle);
  if (!stream) return errorInvalidHandle;
  const auto found = driver.graphOwners.find(static_cast<Graph*>(executable));
  if (found == driver.graphOwners.end() || !driver.executables.count(found->first)) return errorInvalidValue;
  const std::shared_ptr<Graph> graph = found->second;
  return enqueue(stream, [graph] {
    for (const Operation& node : graph->nodes) {
      if (const int error = node()) return error;
    }
    return static_cast<int>(errorNone);
  });
}

CUDA_API int cuGraphExecDestroy(void* executable) {
  CUDASIM_CALL(cuGraphExecDestroy, context);
  if (!driver.executables.erase(static_cast<Graph*>(executable))) return errorInvalidValue;
  driver.graphOwners.erase(static_cast<Graph*>(executable));
  return errorNone;
}

CUDA_API int cuGraphDestroy(void* graph) {
  CUDASIM_CALL(cuGraphDestroy, context);
  if (!driver.graphs.erase(static_cast<Graph*>(graph))) return errorInvalidValue;
  driver.graphOwners.erase(static_cast<Graph*>(graph));
  return errorNone;
}
