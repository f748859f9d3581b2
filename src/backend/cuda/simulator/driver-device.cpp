// cuInit, devices, contexts, error names: one device of compute capability 8.0 unless a test says otherwise.
#include <cstdio>
#include <cstring>

#include "driver.h"

using namespace cudasim;

CUDA_API int cuInit(unsigned flags) {
  CUDASIM_CALL(cuInit, nothing);
  if (flags) return errorInvalidValue;
  if (driver.deviceCount == 0) return errorNoDevice;
  driver.initialized = true;
  return errorNone;
}

CUDA_API int cuDriverGetVersion(int* version) {
  CUDASIM_CALL(cuDriverGetVersion, nothing);
  if (!version) return errorInvalidValue;
  *version = driver.driverVersion;
  return errorNone;
}

CUDA_API int cuGetErrorName(int code, const char** name) {
  CUDASIM_CALL(cuGetErrorName, nothing);
  *name = errorName(code);
  return *name ? errorNone : errorInvalidValue;
}

CUDA_API int cuGetErrorString(int code, const char** text) {
  CUDASIM_CALL(cuGetErrorString, nothing);
  *text = errorText(code);
  return *text ? errorNone : errorInvalidValue;
}

CUDA_API int cuDeviceGetCount(int* count) {
  CUDASIM_CALL(cuDeviceGetCount, initialization);
  *count = driver.deviceCount;
  return errorNone;
}

CUDA_API int cuDeviceGet(int* device, int ordinal) {
  CUDASIM_CALL(cuDeviceGet, initialization);
  if (ordinal < 0 || ordinal >= driver.deviceCount) return errorInvalidDevice;
  *device = ordinal;
  return errorNone;
}

CUDA_API int cuDeviceGetName(char* name, int length, int device) {
  CUDASIM_CALL(cuDeviceGetName, initialization);
  if (device < 0 || device >= driver.deviceCount) return errorInvalidDevice;
  if (length < 1) return errorInvalidValue;
  snprintf(name, static_cast<size_t>(length), "CUDA simulator");
  return errorNone;
}

CUDA_API int cuDeviceGetUuid_v2(unsigned char* uuid, int device) {
  CUDASIM_CALL(cuDeviceGetUuid_v2, initialization);
  if (device < 0 || device >= driver.deviceCount) return errorInvalidDevice;
  memcpy(uuid, "cuda-simulator-0", 16);
  return errorNone;
}

CUDA_API int cuDeviceGetPCIBusId(char* id, int length, int device) {
  CUDASIM_CALL(cuDeviceGetPCIBusId, initialization);
  if (device < 0 || device >= driver.deviceCount) return errorInvalidDevice;
  snprintf(id, static_cast<size_t>(length), "00000000:00:0%d.0", device);
  return errorNone;
}

CUDA_API int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  CUDASIM_CALL(cuDeviceTotalMem_v2, initialization);
  if (device < 0 || device >= driver.deviceCount) return errorInvalidDevice;
  *bytes = driver.memoryBytes;
  return errorNone;
}

CUDA_API int cuDeviceGetAttribute(int* value, int attribute, int device) {
  CUDASIM_CALL(cuDeviceGetAttribute, initialization);
  if (device < 0 || device >= driver.deviceCount) return errorInvalidDevice;
  switch (attribute) {
    case 1: *value = 1024; break;         // threads per block
    case 2:
    case 3: *value = 1024; break;         // block x, y
    case 4: *value = 64; break;           // block z
    case 5: *value = 0x7fffffff; break;   // grid x
    case 6:
    case 7: *value = 65535; break;        // grid y, z
    case 8: *value = 48 * 1024; break;    // shared memory per block
    case 9: *value = 64 * 1024; break;    // constant memory
    case 10: *value = 32; break;          // warp size
    case 12: *value = 65536; break;       // registers per block
    case 13: *value = 1000000; break;     // clock, kHz
    case 16: *value = 4; break;           // multiprocessors
    case 18: *value = 0; break;           // integrated
    case 19: *value = 1; break;           // can map host memory
    case 20: *value = 0; break;           // compute mode: default
    case 31: *value = 1; break;           // concurrent kernels
    case 32: *value = 0; break;           // ECC
    case 33: *value = 0; break;           // PCI bus
    case 34: *value = 0; break;           // PCI device
    case 36: *value = 1000000; break;     // memory clock, kHz
    case 37: *value = 256; break;         // bus width, bits
    case 38: *value = 4 << 20; break;     // L2 bytes
    case 39: *value = 2048; break;        // threads per multiprocessor
    case 40: *value = 1; break;           // copy engines
    case 41: *value = 1; break;           // unified addressing
    case 75: *value = driver.computeCapability / 10; break;
    case 76: *value = driver.computeCapability % 10; break;
    case 81: *value = 100 * 1024; break;  // shared memory per multiprocessor
    case 97: *value = 99 * 1024; break;   // shared memory per block, opted in
    case 115: *value = 0; break;          // memory pools
    default: *value = 0; return attribute > 0 && attribute < 150 ? errorNone : errorInvalidValue;
  }
  return errorNone;
}

CUDA_API int cuDevicePrimaryCtxRetain(void** context, int device) {
  CUDASIM_CALL(cuDevicePrimaryCtxRetain, initialization);
  if (device < 0 || device >= driver.deviceCount) return errorInvalidDevice;
  driver.contextReferences++;
  *context = primaryContext;
  return errorNone;
}

CUDA_API int cuDevicePrimaryCtxRelease_v2(int device) {
  CUDASIM_CALL(cuDevicePrimaryCtxRelease_v2, initialization);
  if (device < 0 || device >= driver.deviceCount) return errorInvalidDevice;
  if (driver.contextReferences == 0) return errorInvalidContext;
  if (--driver.contextReferences == 0) destroyContext();
  return errorNone;
}

CUDA_API int cuDevicePrimaryCtxReset_v2(int device) {
  CUDASIM_CALL(cuDevicePrimaryCtxReset_v2, initialization);
  if (device < 0 || device >= driver.deviceCount) return errorInvalidDevice;
  const int references = driver.contextReferences;
  destroyContext();
  driver.contextReferences = references;
  return errorNone;
}

CUDA_API int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned) {
  CUDASIM_CALL(cuDevicePrimaryCtxSetFlags_v2, initialization);
  return device < 0 || device >= driver.deviceCount ? errorInvalidDevice : errorNone;
}

CUDA_API int cuCtxSetCurrent(void* context) {
  CUDASIM_CALL(cuCtxSetCurrent, initialization);
  if (context && (context != primaryContext || driver.contextReferences == 0)) return errorInvalidContext;
  currentContext = context;
  return errorNone;
}

CUDA_API int cuCtxGetCurrent(void** context) {
  CUDASIM_CALL(cuCtxGetCurrent, initialization);
  *context = currentContext;
  return errorNone;
}

CUDA_API int cuCtxGetDevice(int* device) {
  CUDASIM_CALL(cuCtxGetDevice, context);
  *device = 0;
  return errorNone;
}

CUDA_API int cuCtxSynchronize() {
  CUDASIM_CALL(cuCtxSynchronize, context);
  if (isCapturing()) return spoilCaptures();
  return drainAll();
}
