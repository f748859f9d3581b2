// All kernels of one instruction set: this file is compiled once for each.

#include "activations.c"
#include "attention.c"
#include "elementwise.c"
#include "embedding.c"
#include "head-loss.c"
#include "layer-norm.c"
#include "matmul.c"
#include "reductions.c"
#include "rms-norm.c"
#include "rope.c"
