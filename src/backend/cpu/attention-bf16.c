// Attention in bf16. Its products are too small for AMX and stand in registers of vectors: a unit of its own.

#define STLM_BF16
#include "attention.c"
