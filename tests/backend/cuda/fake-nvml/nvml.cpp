// A library with the functions of NVML that the product calls: one GPU, whose counter rises by 1,500 mJ with each reading.
#include <cstring>

#define NVML_API extern "C" __attribute__((visibility("default")))

static int starts = 0;
static unsigned long long millijoules = 5000;
static int theDevice;

NVML_API int nvmlInit_v2() {
  starts++;
  return 0;
}

NVML_API int nvmlShutdown() {
  starts--;
  return 0;
}

NVML_API int nvmlSystemGetDriverVersion(char* version, unsigned length) {
  if (length < 80) return 7;
  strcpy(version, "570.86.15");
  return 0;
}

NVML_API int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index != 0) return 6;
  *device = &theDevice;
  return 0;
}

NVML_API int nvmlDeviceGetHandleByPciBusId_v2(const char* id, void** device) {
  if (strcmp(id, "00000000:00:00.0") != 0) return 6;
  *device = &theDevice;
  return 0;
}

NVML_API int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* energy) {
  if (device != &theDevice) return 2;
  *energy = millijoules += 1500;
  return 0;
}

NVML_API int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  if (device != &theDevice) return 2;
  *milliwatts = 350400;
  return 0;
}

/** For tests: how often it was started and not shut down. */
NVML_API int fakeStarts() { return starts; }
