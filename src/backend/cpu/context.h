// What a kernel needs besides its arguments: the thread pool and scratch memory, owned by one backend.
#ifndef STLM_CONTEXT_H
#define STLM_CONTEXT_H

#include <stddef.h>

typedef struct stlm_context stlm_context;

// One piece of a parallel loop. `worker` numbers the thread (0 = the caller) and selects its scratch.
typedef void (*task_function)(void *arguments, int task, int worker);

// Runs function(arguments, 0..tasks-1, worker) on all threads and returns when every task is done. Which thread takes
// which task is not fixed, so a task's result must not depend on it.
void stlm_run(stlm_context *context, int tasks, task_function function, void *arguments);
int stlm_threads(const stlm_context *context);

// Scratch memory, 64-byte aligned, contents undefined, grown when needed and kept. Only the calling thread may ask,
// outside stlm_run. A slot is valid until the next request for the same slot. NULL when memory is short.
enum {
  SLOT_PANELS,
  SLOT_LOGITS,
  SLOT_INPUT,
  SLOT_ROWS,
  SLOT_PARTIAL,
  SLOT_WEIGHTS,
  SLOT_TURNED,
  SLOT_ODDS,
  SLOT_SUMS,
  SLOTS
};
void *stlm_scratch(stlm_context *context, int slot, size_t bytes);
// The same for every worker at once: worker w owns bytes [w * stride, w * stride + bytes) with *stride set.
char *stlm_worker_scratch(stlm_context *context, size_t bytes, size_t *stride);

enum { STLM_OK = 0, STLM_OUT_OF_MEMORY = -1 };

#define MINIMUM(a, b) ((a) < (b) ? (a) : (b))
#define MAXIMUM(a, b) ((a) > (b) ? (a) : (b))

#endif
