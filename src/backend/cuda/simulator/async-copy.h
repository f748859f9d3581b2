// cp.async: copies that a thread issues, commits in groups and waits for. In the late mode the destination holds NaNs until the
// wait, so that a kernel that reads too early computes NaNs, and data arrives as late as the rules allow.
#pragma once
#include "block.h"

namespace cudasim {

void issueCopy(void* shared, const void* global, int bytes);
void commitCopies();
/** Delivers all but the last `remaining` groups of the running thread. */
void waitForCopies(int remaining);
bool hasPendingCopies(const Fiber& fiber);

}  // namespace cudasim
