// Collectives as rendezvous of fibers: every lane says where its operands lie, the last one computes for all.
#include "warp.h"

#include "block.h"
#include "errors.h"

namespace cudasim {

uint64_t bankConflicts;

int laneIndex() { return current->lane; }

void warpSync(uint32_t mask) {
  meet(Collective::sync, mask, nullptr, nullptr, [](Fiber*, uint32_t) {});
}

namespace {

struct ShuffleRequest {
  uint64_t value;
  int source;
};

template <class Visit>
void forEachLane(uint32_t lanes, Visit visit) {
  for (; lanes; lanes &= lanes - 1) visit(__builtin_ctz(lanes));
}

void resolveShuffle(Fiber* lanes, uint32_t present) {
  forEachLane(present, [&](int lane) {
    const int source = static_cast<const ShuffleRequest*>(lanes[lane].given)->source;
    if (!(present >> source & 1)) fail(errorLaunchFailed, "lane %d shuffles from lane %d, which is not in the mask", lane, source);
    *static_cast<uint64_t*>(lanes[lane].wanted) = static_cast<const ShuffleRequest*>(lanes[source].given)->value;
  });
}

void resolveBallot(Fiber* lanes, uint32_t present) {
  uint32_t votes = 0;
  forEachLane(present, [&](int lane) { votes |= static_cast<uint32_t>(*static_cast<const bool*>(lanes[lane].given)) << lane; });
  forEachLane(present, [&](int lane) { *static_cast<uint32_t*>(lanes[lane].wanted) = votes; });
}

/** The 128 bytes of all banks hold eight rows of 16 bytes, if those lie in different eighths. */
void countBankConflicts(const Fiber* lanes) {
  for (int matrix = 0; matrix < 4; matrix++) {
    uint32_t taken = 0;
    for (int row = 0; row < 8; row++) {
      const uint32_t eighth = 1u << (reinterpret_cast<uintptr_t>(lanes[matrix * 8 + row].given) / 16 % 8);
      if (taken & eighth) bankConflicts++;
      taken |= eighth;
    }
  }
}

void resolveMatrixLoad(Fiber* lanes, uint32_t) {
  countBankConflicts(lanes);
  for (int lane = 0; lane < 32; lane++) {
    uint32_t* registers = static_cast<uint32_t*>(lanes[lane].wanted);
    for (int i = 0; i < 4; i++) {
      memcpy(&registers[i], static_cast<const char*>(lanes[i * 8 + lane / 4].given) + lane % 4 * 4, 4);
    }
  }
}

void resolveMatrixLoadTransposed(Fiber* lanes, uint32_t) {
  countBankConflicts(lanes);
  for (int lane = 0; lane < 32; lane++) {
    uint32_t* registers = static_cast<uint32_t*>(lanes[lane].wanted);
    for (int i = 0; i < 4; i++) {
      uint16_t pair[2];
      for (int k = 0; k < 2; k++) {
        memcpy(&pair[k], static_cast<const char*>(lanes[i * 8 + lane % 4 * 2 + k].given) + lane / 4 * 2, 2);
      }
      registers[i] = static_cast<uint32_t>(pair[1]) << 16 | pair[0];
    }
  }
}

struct Operands {
  const uint32_t* a;
  uint32_t b[2];
};

float lower(uint32_t pair) {
  pair <<= 16;
  float value;
  memcpy(&value, &pair, 4);
  return value;
}

float upper(uint32_t pair) {
  pair &= 0xffff0000u;
  float value;
  memcpy(&value, &pair, 4);
  return value;
}

// Vectors of eight floats whatever the processor; without fused operations every width gives the same bits.
__attribute__((target_clones("avx2", "default"))) void multiply16x8x16(const float (&a)[16][16], const float (&b)[16][8],
                                                                      float (&d)[16][8]) {
  for (int i = 0; i < 16; i++) {
    float row[8] = {};
    for (int k = 0; k < 16; k++) {
      for (int j = 0; j < 8; j++) row[j] += a[i][k] * b[k][j];
    }
    for (int j = 0; j < 8; j++) d[i][j] = row[j];
  }
}

void resolveMatrixMultiply(Fiber* lanes, uint32_t) {
  alignas(64) float a[16][16], b[16][8], d[16][8];
  for (int lane = 0; lane < 32; lane++) {
    const Operands& operands = *static_cast<const Operands*>(lanes[lane].given);
    const int g = lane / 4, t = lane % 4 * 2;
    for (int k = 0; k < 2; k++) {
      for (int h = 0; h < 2; h++) {
        a[g + 8 * h][t + 8 * k] = lower(operands.a[h + 2 * k]);
        a[g + 8 * h][t + 8 * k + 1] = upper(operands.a[h + 2 * k]);
      }
      b[t + 8 * k][g] = lower(operands.b[k]);
      b[t + 8 * k + 1][g] = upper(operands.b[k]);
    }
  }
  multiply16x8x16(a, b, d);
  for (int lane = 0; lane < 32; lane++) {
    float* sums = static_cast<float*>(lanes[lane].wanted);
    const int g = lane / 4, t = lane % 4 * 2;
    sums[0] += d[g][t];
    sums[1] += d[g][t + 1];
    sums[2] += d[g + 8][t];
    sums[3] += d[g + 8][t + 1];
  }
}

}  // namespace

static void requireFullWarp() {
  if (blockSize.x * blockSize.y * blockSize.z % 32) fail(errorLaunchFailed, "a tensor core operation in a block with a partial warp");
}

uint64_t shuffle(uint32_t mask, uint64_t value, int source) {
  const ShuffleRequest request{value, source & 31};
  uint64_t result = 0;
  meet(Collective::shuffle, mask, &request, &result, resolveShuffle);
  return result;
}

uint32_t ballot(uint32_t mask, bool predicate) {
  uint32_t votes = 0;
  meet(Collective::ballot, mask, &predicate, &votes, resolveBallot);
  return votes;
}

void loadMatrices(uint32_t (&registers)[4], const void* row, bool transposed) {
  requireFullWarp();
  if (reinterpret_cast<uintptr_t>(row) & 15) fail(errorMisalignedAddress, "ldmatrix with a row that is not aligned to 16 bytes");
  if (transposed) {
    meet(Collective::matrixLoadTransposed, ~0u, row, registers, resolveMatrixLoadTransposed);
  } else {
    meet(Collective::matrixLoad, ~0u, row, registers, resolveMatrixLoad);
  }
}

void multiplyMatrices(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  requireFullWarp();
  const Operands operands{a, {b0, b1}};
  meet(Collective::matrixMultiply, ~0u, &operands, d, resolveMatrixMultiply);
}

}  // namespace cudasim
