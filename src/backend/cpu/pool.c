// The thread pool and scratch memory of one backend. Compiled once, for the baseline processor.
//
// A loop is published as a ticket: generation in the high half, next task in the low half. Threads take tasks by
// compare-and-swap on it, so a thread that slept through a loop can never take a task of the next one by mistake, and
// the caller waits for tasks, not for threads: one that the system does not schedule holds nobody up.

#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "context.h"

#define EXPORT __attribute__((visibility("default")))
#define MAX_THREADS 256
// A few microseconds each way: longer than the gap between two kernels of a step, shorter than a scheduler's slice.
#define SPINS 2000

typedef struct {
  _Atomic(task_function) function;
  _Atomic(void *) arguments;
  atomic_uint tasks, done;
} loop;

struct stlm_context {
  atomic_ullong ticket; // generation << 32 | next task
  loop loops[2];        // of even and odd generations
  atomic_int sleepers, caller_waits, stop;
  pthread_mutex_t mutex;
  pthread_cond_t work, finished;
  pthread_t threads[MAX_THREADS];
  int started; // threads besides the caller
  pid_t owner; // a forked child has no threads: it runs loops alone
  void *slots[SLOTS];
  size_t slot_bytes[SLOTS];
  char *worker_memory;
  size_t worker_stride;
};

typedef struct {
  stlm_context *context;
  int worker;
} thread_start;

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Takes tasks of the loop of `generation` until none is left.
static void work_on(stlm_context *context, uint32_t generation, int worker) {
  loop *l = &context->loops[generation & 1];
  for (;;) {
    unsigned long long ticket = atomic_load(&context->ticket);
    const uint32_t task = (uint32_t)ticket;
    const task_function function = atomic_load(&l->function);
    void *arguments = atomic_load(&l->arguments);
    const unsigned tasks = atomic_load(&l->tasks);
    if ((uint32_t)(ticket >> 32) != generation || task >= tasks) return;
    // Success proves that the loop was not over, so what was read above belongs to it.
    if (!atomic_compare_exchange_weak(&context->ticket, &ticket, ticket + 1)) continue;
    function(arguments, (int)task, worker);
    if (atomic_fetch_add(&l->done, 1) + 1 == tasks && atomic_load(&context->caller_waits)) {
      pthread_mutex_lock(&context->mutex);
      pthread_cond_signal(&context->finished);
      pthread_mutex_unlock(&context->mutex);
    }
  }
}

static uint32_t generation_of(stlm_context *context) { return (uint32_t)(atomic_load(&context->ticket) >> 32); }

static void *thread_main(void *argument) {
  const thread_start start = *(thread_start *)argument;
  free(argument);
  stlm_context *context = start.context;
  uint32_t seen = 0;
  while (!atomic_load(&context->stop)) {
    for (int i = 0; i < SPINS && generation_of(context) == seen; i++) pause_briefly();
    if (generation_of(context) == seen) {
      pthread_mutex_lock(&context->mutex);
      atomic_fetch_add(&context->sleepers, 1);
      while (generation_of(context) == seen && !atomic_load(&context->stop)) {
        pthread_cond_wait(&context->work, &context->mutex);
      }
      atomic_fetch_sub(&context->sleepers, 1);
      pthread_mutex_unlock(&context->mutex);
    }
    seen = generation_of(context);
    work_on(context, seen, start.worker);
  }
  return NULL;
}

void stlm_run(stlm_context *context, int tasks, task_function function, void *arguments) {
  if (tasks <= 0) return;
  if (tasks == 1 || context->started == 0 || getpid() != context->owner) {
    for (int task = 0; task < tasks; task++) function(arguments, task, 0);
    return;
  }
  const uint32_t generation = generation_of(context) + 1;
  loop *l = &context->loops[generation & 1];
  atomic_store(&l->function, function);
  atomic_store(&l->arguments, arguments);
  atomic_store(&l->tasks, (unsigned)tasks);
  atomic_store(&l->done, 0);
  atomic_store(&context->ticket, (unsigned long long)generation << 32);
  if (atomic_load(&context->sleepers) > 0) {
    pthread_mutex_lock(&context->mutex);
    pthread_cond_broadcast(&context->work);
    pthread_mutex_unlock(&context->mutex);
  }
  work_on(context, generation, 0);
  for (int i = 0; i < SPINS && atomic_load(&l->done) != (unsigned)tasks; i++) pause_briefly();
  if (atomic_load(&l->done) == (unsigned)tasks) return;
  pthread_mutex_lock(&context->mutex);
  atomic_store(&context->caller_waits, 1);
  while (atomic_load(&l->done) != (unsigned)tasks) pthread_cond_wait(&context->finished, &context->mutex);
  atomic_store(&context->caller_waits, 0);
  pthread_mutex_unlock(&context->mutex);
}

int stlm_threads(const stlm_context *context) { return context->started + 1; }

static void *aligned(size_t bytes) {
  void *memory = NULL;
  return posix_memalign(&memory, 64, bytes + 64) == 0 ? memory : NULL;
}

void *stlm_scratch(stlm_context *context, int slot, size_t bytes) {
  if (context->slot_bytes[slot] >= bytes && context->slots[slot]) return context->slots[slot];
  free(context->slots[slot]);
  context->slots[slot] = aligned(bytes);
  context->slot_bytes[slot] = context->slots[slot] ? bytes : 0;
  return context->slots[slot];
}

char *stlm_worker_scratch(stlm_context *context, size_t bytes, size_t *stride) {
  if (context->worker_stride < bytes || !context->worker_memory) {
    // Rounded to pages, so that two workers never share a line.
    const size_t rounded = (bytes + 4095) / 4096 * 4096;
    free(context->worker_memory);
    context->worker_memory = aligned(rounded * (size_t)stlm_threads(context));
    context->worker_stride = context->worker_memory ? rounded : 0;
  }
  *stride = context->worker_stride;
  return context->worker_memory;
}

// Bytes of scratch now held.
EXPORT double stlm_scratch_bytes(const stlm_context *context) {
  double bytes = (double)context->worker_stride * stlm_threads(context);
  for (int slot = 0; slot < SLOTS; slot++) bytes += (double)context->slot_bytes[slot];
  return bytes;
}

// Frees the context; joins its threads unless this process is a fork of the one that started them.
EXPORT void stlm_destroy(stlm_context *context) {
  if (!context) return;
  if (getpid() == context->owner) {
    pthread_mutex_lock(&context->mutex);
    atomic_store(&context->stop, 1);
    pthread_cond_broadcast(&context->work);
    pthread_mutex_unlock(&context->mutex);
    for (int i = 0; i < context->started; i++) pthread_join(context->threads[i], NULL);
    pthread_mutex_destroy(&context->mutex);
    pthread_cond_destroy(&context->work);
    pthread_cond_destroy(&context->finished);
  }
  for (int slot = 0; slot < SLOTS; slot++) free(context->slots[slot]);
  free(context->worker_memory);
  free(context);
}

// A pool of `threads` threads, the caller included; fewer if the system gives no more. NULL when memory is short.
EXPORT stlm_context *stlm_create(int threads) {
  stlm_context *context = calloc(1, sizeof *context);
  if (!context) return NULL;
  context->owner = getpid();
  pthread_mutex_init(&context->mutex, NULL);
  pthread_cond_init(&context->work, NULL);
  pthread_cond_init(&context->finished, NULL);
  for (int i = 1; i < threads && i < MAX_THREADS; i++) {
    thread_start *start = malloc(sizeof *start);
    if (!start) break;
    start->context = context;
    start->worker = i;
    if (pthread_create(&context->threads[i - 1], NULL, thread_main, start) != 0) {
      free(start);
      break;
    }
    context->started = i;
  }
  return context;
}

EXPORT int stlm_thread_count(const stlm_context *context) { return stlm_threads(context); }

// Where an array starts within its 64-byte line.
EXPORT int stlm_misalignment(const void *memory) { return (int)((uintptr_t)memory & 63); }
