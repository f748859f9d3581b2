#include "errors.h"

namespace cudasim {
namespace {

struct Entry {
  int code;
  const char* name;
  const char* text;
};

constexpr Entry entries[] = {
    {errorNone, "CUDA_SUCCESS", "no error"},
    {errorInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {errorOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {errorNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {errorNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {errorInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {errorInvalidImage, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {errorInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {errorNoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {errorInvalidPtx, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {errorUnsupportedPtxVersion, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {errorInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {errorNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {errorNotReady, "CUDA_ERROR_NOT_READY", "device not ready"},
    {errorIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {errorLaunchOutOfResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {errorMisalignedAddress, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {errorLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {errorNotSupported, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {errorCaptureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {errorCaptureInvalidated, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {errorCaptureUnmatched, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "the capture was not initiated in this stream"},
    {errorCaptureImplicit, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
    {errorUnknown, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

const Entry* find(int code) {
  for (const Entry& entry : entries) {
    if (entry.code == code) return &entry;
  }
  return nullptr;
}

}  // namespace

const char* errorName(int code) {
  const Entry* entry = find(code);
  return entry ? entry->name : nullptr;
}

const char* errorText(int code) {
  const Entry* entry = find(code);
  return entry ? entry->text : nullptr;
}

}  // namespace cudasim
