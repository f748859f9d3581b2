import { expect, test } from "vitest";
import { autoDevice, cpuDevice } from "../../src/cli/commands/doctor.ts";

const loaded = { available: true, isa: "avx2", bf16: "avx2", library: "/cache/cpu-avx2.so" } as const;
const broken = { available: false, reason: "/usr/bin/cc: cannot find stdio.h" };
const missing = { available: false, reason: "no C compiler on the PATH and no prebuilt library for this platform" };

test("the cpu device is named with its instructions and where its library comes from, and why", () => {
  const compiled = cpuDevice({ ...loaded, compiler: "cc 12.2.0" }, "/usr/bin/cc");
  expect(compiled).toMatchObject({
    verdict: "ok",
    detail: "f32 by avx2, bf16 by avx2, emulated, cc 12.2.0, /cache/cpu-avx2.so",
  });
  expect(cpuDevice(loaded, undefined).detail).toContain("prebuilt library, because there is no C compiler on the PATH");
  expect(cpuDevice(loaded, "/bin/cc").detail).toContain("prebuilt library, because /bin/cc does not compile it");
  const { bf16: _, ...withoutHalves } = loaded;
  expect(cpuDevice({ ...withoutHalves, noBf16: "gcc is too old" }, "/bin/cc").detail).toContain(
    "nothing (gcc is too old)",
  );
});

test("without it the remedy is that of its reason, and what --device auto then does is said", () => {
  expect(cpuDevice(missing, undefined)).toMatchObject({
    verdict: "warning",
    detail: missing.reason,
    remedy: expect.stringMatching(/^install a C compiler .* until then training uses the slow reference device$/),
  });
  expect(cpuDevice(broken, "/usr/bin/cc").remedy).toMatch(/^mend \/usr\/bin\/cc .* until then training stops here/);
  expect(autoDevice(missing, { f32: "reference", bf16: "reference" })).toMatchObject({
    verdict: "ok",
    detail: "means reference here",
  });
  expect(autoDevice(broken, { f32: "cpu", bf16: "cuda" })).toMatchObject({
    verdict: "warning",
    detail: "means cpu for f32 and cuda for bf16 here, and cpu cannot be started",
  });
  expect(autoDevice(loaded, { f32: "cpu", bf16: "cpu" })).toMatchObject({ verdict: "ok", detail: "means cpu here" });
});
