// Error codes of the CUDA driver API that the simulator returns (CUresult).
#pragma once

namespace cudasim {

enum {
  errorNone = 0,
  errorInvalidValue = 1,
  errorOutOfMemory = 2,
  errorNotInitialized = 3,
  errorNoDevice = 100,
  errorInvalidDevice = 101,
  errorInvalidImage = 200,
  errorInvalidContext = 201,
  errorNoBinaryForGpu = 209,
  errorInvalidPtx = 218,
  errorUnsupportedPtxVersion = 222,
  errorInvalidHandle = 400,
  errorNotFound = 500,
  errorNotReady = 600,
  errorIllegalAddress = 700,
  errorLaunchOutOfResources = 701,
  errorMisalignedAddress = 716,
  errorLaunchFailed = 719,
  errorNotSupported = 801,
  errorCaptureUnsupported = 900,
  errorCaptureInvalidated = 901,
  errorCaptureUnmatched = 903,
  errorCaptureImplicit = 906,
  errorUnknown = 999,
};

/** `CUDA_ERROR_OUT_OF_MEMORY` and its sentence; null for a code that is none. */
const char* errorName(int code);
const char* errorText(int code);

}  // namespace cudasim
