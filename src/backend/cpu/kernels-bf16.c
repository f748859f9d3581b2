// The products of bf16: linear layers and the head, on AMX where the build has it. Compiled once for each instruction set.

#define STLM_BF16
#if defined(__AMX_BF16__) || defined(STLM_AMX_SIMULATED)
#define STLM_TILES
#endif
#include "head-loss-bf16.c"
#include "matmul.c"
