// A library with the functions of cuBLASLt that the product calls, on host memory, in the order of the arguments that cublasLt.h
// gives: products in column-major terms, two algorithms, and every rule of the real one that the caller could break.
#include <cstdint>
#include <cstring>

#define LT_API extern "C" __attribute__((visibility("default")))

namespace {

enum Status { success = 0, notInitialized = 1, invalidValue = 7, notSupported = 15 };
enum Type { real32f = 0, real16bf = 14 };

struct Handle {};
struct Description {
  int32_t transpose[2] = {0, 0};
};
struct Layout {
  int type;
  uint64_t rows, columns;
  int64_t leading;
};
struct Preference {
  uint64_t workspaceBytes = 0;
  uint32_t reductionSchemes = 7;
  uint32_t alignment[4] = {256, 256, 256, 256};
};
struct Algorithm {
  uint64_t data[8];
};
struct Result {
  Algorithm algorithm;
  size_t workspaceBytes;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(Result) == 96, "as cublasLtMatmulHeuristicResult_t");

constexpr uint64_t algorithmMark = 0x4c74;
Handle theHandle;
int numHandles = 0, numObjects = 0, numProducts = 0;
uint64_t lastAlgorithm = 0;
float readNumber(const void* base, int type, uint64_t index) {
  if (type == real32f) return static_cast<const float*>(base)[index];
  const uint32_t word = uint32_t{static_cast<const uint16_t*>(base)[index]} << 16;
  float value;
  memcpy(&value, &word, 4);
  return value;
}

void writeNumber(void* base, int type, uint64_t index, float value) {
  if (type == real32f) {
    static_cast<float*>(base)[index] = value;
    return;
  }
  uint32_t word;
  memcpy(&word, &value, 4);
  static_cast<uint16_t*>(base)[index] = static_cast<uint16_t>((word + 0x7fff + ((word >> 16) & 1)) >> 16);
}

bool isAligned(const void* address, uint64_t bytes) { return reinterpret_cast<uintptr_t>(address) % bytes == 0; }

}  // namespace

LT_API size_t cublasLtGetVersion() { return 120803; }

static bool refusesHandles;

/** Whether the library cannot be started from now on, as where the GPU has no memory left for it. */
LT_API int fakeRefuseHandles(int refuse) {
  refusesHandles = refuse != 0;
  return success;
}

LT_API int cublasLtCreate(Handle** handle) {
  if (refusesHandles) return notInitialized;
  *handle = &theHandle;
  numHandles++;
  return success;
}

LT_API int cublasLtDestroy(Handle* handle) {
  if (handle != &theHandle) return notInitialized;
  numHandles--;
  return success;
}

LT_API int cublasLtMatmulDescCreate(Description** description, int computeType, int scaleType) {
  if (computeType != 68 || scaleType != real32f) return notSupported;
  *description = new Description;
  numObjects++;
  return success;
}

LT_API int cublasLtMatmulDescDestroy(Description* description) {
  delete description;
  numObjects--;
  return success;
}

LT_API int cublasLtMatmulDescSetAttribute(Description* description, int attribute, const void* value, size_t bytes) {
  if ((attribute != 3 && attribute != 4) || bytes != 4) return invalidValue;
  memcpy(&description->transpose[attribute - 3], value, 4);
  return success;
}

LT_API int cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
  if ((type != real32f && type != real16bf) || leading < static_cast<int64_t>(rows)) return invalidValue;
  *layout = new Layout{type, rows, columns, leading};
  numObjects++;
  return success;
}

LT_API int cublasLtMatrixLayoutDestroy(Layout* layout) {
  delete layout;
  numObjects--;
  return success;
}

LT_API int cublasLtMatmulPreferenceCreate(Preference** preference) {
  *preference = new Preference;
  numObjects++;
  return success;
}

LT_API int cublasLtMatmulPreferenceDestroy(Preference* preference) {
  delete preference;
  numObjects--;
  return success;
}

LT_API int cublasLtMatmulPreferenceSetAttribute(Preference* preference, int attribute, const void* value, size_t bytes) {
  if (attribute == 1 && bytes == 8) memcpy(&preference->workspaceBytes, value, 8);
  else if (attribute == 3 && bytes == 4) memcpy(&preference->reductionSchemes, value, 4);
  else if (attribute >= 5 && attribute <= 8 && bytes == 4) memcpy(&preference->alignment[attribute - 5], value, 4);
  else return invalidValue;
  return success;
}

/**
 * Two algorithms; the second needs a workspace, and says for which alignments it was asked. None for a k of 13, and for a k of 11 two
 * of which the second cannot be used.
 */
LT_API int cublasLtMatmulAlgoGetHeuristic(Handle* handle, Description* description, Layout* a, Layout* b, Layout* c,
                                          Layout* d, Preference* preference, int requested, Result* results, int* count) {
  if (handle != &theHandle || requested < 2 || c->rows != d->rows || c->type != d->type) return invalidValue;
  const uint64_t m = description->transpose[0] ? a->columns : a->rows, k = description->transpose[0] ? a->rows : a->columns;
  const uint64_t n = description->transpose[1] ? b->rows : b->columns, kb = description->transpose[1] ? b->columns : b->rows;
  if (k != kb || d->rows != m || d->columns != n) return invalidValue;
  // Sums in the result as blocks arrive (in place) would not be the same from run to run.
  if (preference->reductionSchemes & 1) return invalidValue;
  *count = 0;
  if (k == 13) return notSupported;
  for (int i = 0; i < 2; i++) {
    results[i] = Result{};
    results[i].algorithm.data[0] = algorithmMark + static_cast<uint64_t>(i);
    for (int j = 0; j < 4; j++) results[i].algorithm.data[1 + j] = preference->alignment[j];
    results[i].workspaceBytes = i == 0 ? 0 : preference->workspaceBytes / 2;
    results[i].state = k == 11 && i == 1 ? notSupported : success;
    (*count)++;
  }
  return success;
}

LT_API int cublasLtMatmulAlgoConfigGetAttribute(const Algorithm* algorithm, int attribute, void* value, size_t bytes,
                                                size_t* written) {
  if (attribute > 6 || bytes != 4) return invalidValue;
  const uint32_t number = attribute == 0 ? static_cast<uint32_t>(60 + algorithm->data[0] - algorithmMark) : 1;
  memcpy(value, &number, 4);
  *written = 4;
  return success;
}

LT_API int cublasLtMatmul(Handle* handle, Description* description, const float* alpha, const void* a, Layout* la,
                          const void* b, Layout* lb, const float* beta, const void* c, Layout* lc, void* d, Layout* ld,
                          const Algorithm* algorithm, void* workspace, size_t workspaceBytes, void* stream) {
  if (handle != &theHandle || !stream || algorithm->data[0] < algorithmMark || algorithm->data[0] > algorithmMark + 1) {
    return invalidValue;
  }
  const void* matrices[4] = {a, b, c, d};
  for (int i = 0; i < 4; i++) {
    if (!isAligned(matrices[i], algorithm->data[1 + i])) return invalidValue;
  }
  // What a schedule of blocks would leave there: a caller that gives too little memory is caught by the simulator's marks.
  if (workspaceBytes > 0) memset(workspace, 0xff, workspaceBytes);
  const uint64_t k = description->transpose[0] ? la->rows : la->columns;
  for (uint64_t column = 0; column < ld->columns; column++) {
    for (uint64_t row = 0; row < ld->rows; row++) {
      double sum = 0;
      for (uint64_t i = 0; i < k; i++) {
        const uint64_t inA = description->transpose[0] ? i + row * la->leading : row + i * la->leading;
        const uint64_t inB = description->transpose[1] ? column + i * lb->leading : i + column * lb->leading;
        sum += static_cast<double>(readNumber(a, la->type, inA)) * readNumber(b, lb->type, inB);
      }
      float value = *alpha * static_cast<float>(sum);
      if (*beta != 0) value += *beta * readNumber(c, lc->type, row + column * lc->leading);
      writeNumber(d, ld->type, row + column * ld->leading, value);
    }
  }
  numProducts++;
  lastAlgorithm = algorithm->data[0] - algorithmMark;
  return success;
}

/** For tests: products so far, handles and objects that are not destroyed, the algorithm of the last product. */
LT_API int fakeNumProducts() { return numProducts; }
LT_API int fakeNumAlive() { return numHandles + numObjects; }
LT_API int fakeLastAlgorithm() { return static_cast<int>(lastAlgorithm); }
