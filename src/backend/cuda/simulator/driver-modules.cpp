// Modules, functions and launches. The kernels themselves are linked in; a module's PTX text decides which of them it offers.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "driver.h"

namespace cudasim {
namespace {

constexpr size_t optInSharedBytes = 99 * 1024;
constexpr int newestPtx = 90;  // the instruction set version 9.0

/** The number after a directive: `.version 7.8` gives 78, `.target sm_80` gives 80; 0 where there is none. */
int directive(const std::string& ptx, const char* pattern) {
  const size_t at = ptx.find(pattern);
  if (at == std::string::npos) return 0;
  int number = 0;
  for (size_t i = at + strlen(pattern); i < ptx.size() && (isdigit(ptx[i]) || ptx[i] == '.'); i++) {
    if (ptx[i] != '.') number = number * 10 + (ptx[i] - '0');
  }
  return number;
}

int checkPtx(const std::string& ptx) {
  const int version = directive(ptx, ".version "), target = directive(ptx, ".target sm_");
  if (version == 0 || target == 0) return errorInvalidPtx;
  if (version > newestPtx) return errorUnsupportedPtxVersion;
  return target > driver.computeCapability ? errorNoBinaryForGpu : errorNone;
}

bool offers(const Module& module, const char* name) {
  if (module.ptx.find(".entry ") == std::string::npos) return true;  // a stub that stands for all kernels
  return module.ptx.find(std::string(".entry ") + name + "(") != std::string::npos;
}

Kernel* functionOf(void* handle) {
  for (Kernel& kernel : kernels()) {
    if (&kernel == handle) return &kernel;
  }
  return nullptr;
}

/** The parameters' bytes, which a launch copies, and their addresses in the copy. */
struct Arguments {
  std::vector<unsigned char> bytes;
  std::vector<void*> addresses;
  Arguments(const Kernel& kernel, void** parameters) {
    size_t total = 0;
    for (const size_t size : kernel.parameterBytes) total += (size + 15) & ~size_t{15};
    bytes.resize(total + 16);
    size_t at = (16 - (reinterpret_cast<uintptr_t>(bytes.data()) & 15)) & 15;
    for (size_t i = 0; i < kernel.parameterBytes.size(); i++) {
      memcpy(bytes.data() + at, parameters[i], kernel.parameterBytes[i]);
      addresses.push_back(bytes.data() + at);
      at += (kernel.parameterBytes[i] + 15) & ~size_t{15};
    }
  }
  Arguments(const Arguments&) = delete;
};

/** The first parameter that points to what is no memory of the device, or -1. A GPU faults where a thread follows it. */
int strayPointer(const Kernel& kernel, const Arguments& arguments) {
  for (size_t i = 0; i < kernel.isPointer.size(); i++) {
    uintptr_t address = 0;
    if (kernel.isPointer[i]) memcpy(&address, arguments.addresses[i], sizeof address);
    if (address && !isDeviceRange(address, 0)) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace
}  // namespace cudasim

using namespace cudasim;

CUDA_API int cuModuleLoadData(void** handle, const void* image) {
  CUDASIM_CALL(cuModuleLoadData, context);
  if (isCapturing()) return spoilCaptures();
  if (!image) return errorInvalidValue;
  const unsigned char* bytes = static_cast<const unsigned char*>(image);
  if (memcmp(bytes, "\x7f" "ELF", 4) == 0) return errorNoBinaryForGpu;  // machine code for a real GPU
  const std::string text(static_cast<const char*>(image));
  if (text.find(".version") == std::string::npos) return errorInvalidImage;
  if (const int error = checkPtx(text)) return error;
  Module* module = new Module{text};
  driver.modules.insert(module);
  *handle = module;
  return errorNone;
}

/** Of the options only the error log is served: its buffer (5) and size (6). */
CUDA_API int cuModuleLoadDataEx(void** handle, const void* image, unsigned count, const int* options, void** values) {
  CUDASIM_CALL(cuModuleLoadDataEx, context);
  const int error = cuModuleLoadData(handle, image);
  char* log = nullptr;
  size_t size = 0;
  for (unsigned i = 0; i < count; i++) {
    if (options[i] == 5) log = static_cast<char*>(values[i]);
    if (options[i] == 6) size = static_cast<size_t>(reinterpret_cast<uintptr_t>(values[i]) & 0xffffffffu);
  }
  if (log && size) snprintf(log, size, "%s", error ? "ptxas simulated: the image was refused" : "");
  return error;
}

CUDA_API int cuModuleUnload(void* handle) {
  CUDASIM_CALL(cuModuleUnload, context);
  Module* module = static_cast<Module*>(handle);
  if (!driver.modules.erase(module)) return errorInvalidHandle;
  delete module;
  return errorNone;
}

CUDA_API int cuModuleGetFunction(void** function, void* handle, const char* name) {
  CUDASIM_CALL(cuModuleGetFunction, context);
  Module* module = static_cast<Module*>(handle);
  if (!driver.modules.count(module)) return errorInvalidHandle;
  if (!name) return errorInvalidValue;
  Kernel* kernel = findKernel(name);
  if (!kernel || !offers(*module, name)) return errorNotFound;
  *function = kernel;
  return errorNone;
}

CUDA_API int cuFuncGetAttribute(int* value, int attribute, void* handle) {
  CUDASIM_CALL(cuFuncGetAttribute, context);
  const Kernel* kernel = functionOf(handle);
  if (!kernel) return errorInvalidHandle;
  if (attribute < 0 || attribute > 15) return errorInvalidValue;
  *value = attribute == 0 ? static_cast<int>(kernel->maxThreads) : attribute == 8 ? static_cast<int>(kernel->dynamicLimit) : 0;
  return errorNone;
}

CUDA_API int cuFuncSetAttribute(void* handle, int attribute, int value) {
  CUDASIM_CALL(cuFuncSetAttribute, context);
  Kernel* kernel = functionOf(handle);
  if (!kernel) return errorInvalidHandle;
  if (attribute != 8 && attribute != 9) return errorInvalidValue;
  if (attribute == 8) {
    if (value < 0 || static_cast<size_t>(value) > optInSharedBytes) return errorInvalidValue;
    kernel->dynamicLimit = static_cast<size_t>(value);
  }
  return errorNone;
}

CUDA_API int cuFuncSetCacheConfig(void* handle, int) {
  CUDASIM_CALL(cuFuncSetCacheConfig, context);
  return functionOf(handle) ? errorNone : errorInvalidHandle;
}

CUDA_API int cuLaunchKernel(void* handle, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                            unsigned blockZ, unsigned sharedBytes, void* streamHandle, void** parameters, void** extra) {
  CUDASIM_CALL(cuLaunchKernel, context);
  const Kernel* kernel = functionOf(handle);
  Stream* stream = streamOf(streamHandle);
  if (!kernel || !stream) return errorInvalidHandle;
  if (extra) return errorNotSupported;
  if (!gridX || !gridY || !gridZ || gridX > 0x7fffffffu || gridY > 65535 || gridZ > 65535) return errorInvalidValue;
  if (!blockX || !blockY || !blockZ || blockX > 1024 || blockY > 1024 || blockZ > 64) return errorInvalidValue;
  const uint64_t threads = static_cast<uint64_t>(blockX) * blockY * blockZ;
  if (threads > 1024) return errorInvalidValue;
  if (threads > kernel->maxThreads) return errorLaunchOutOfResources;
  if (sharedBytes > kernel->dynamicLimit) return errorInvalidValue;
  if (!parameters && !kernel->parameterBytes.empty()) return errorInvalidValue;
  const auto arguments = std::make_shared<Arguments>(*kernel, parameters);
  const Dim3 grid{gridX, gridY, gridZ}, block{blockX, blockY, blockZ};
  return enqueue(stream, [=] {
    if (const int stray = strayPointer(*kernel, *arguments); stray >= 0) {
      driver.message = std::string(kernel->name) + ": parameter " + std::to_string(stray) + " points to no memory of the device";
      return static_cast<int>(errorIllegalAddress);
    }
    const Failure failure = runGrid(grid, block, sharedBytes, kernel->run, arguments->addresses.data());
    if (failure.code) {
      driver.message = std::string(kernel->name) + ": " + failure.text;
      return failure.code;
    }
    if (checkMarks()) driver.message = std::string(kernel->name) + ": " + driver.message;
    return driver.stickyError;
  });
}
