// Where the native library comes from, and what a user reads when there is none.

import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { compilerOnPath, findLibrary, prebuiltPath, sourceFolder, usableIsas } from "../../src/backend/cpu/build.ts";
import { createCpuBackend } from "../../src/backend/cpu/index.ts";
import { describeCpu, deviceClassOf, openBackend, resolveDevice } from "../../src/backend/index.ts";
import { UserError } from "../../src/util/errors.ts";

const [isa] = usableIsas();
const withoutCompiler = compilerOnPath() === undefined ? " (skipped: no C compiler on the PATH)" : "";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "stlm-build-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const failureOf = (promise: Promise<unknown>): Promise<UserError> =>
  promise.then(
    () => expect.fail("should have failed"),
    (error) => (error instanceof UserError ? error : Promise.reject(error)),
  );

describe("without a compiler and without a prebuilt library", () => {
  beforeEach(() => {
    vi.stubEnv("PATH", folder);
    vi.stubEnv("CC", "");
    vi.stubEnv("STLM_PACKAGE_ROOT", folder);
  });

  test("the cpu device says what to install", async () => {
    const error = await failureOf(openBackend("cpu"));
    expect(error.code).toBe("NO_CPU_DEVICE");
    expect(error.message).toMatch(/no C compiler \(cc, gcc or clang\) on the PATH and no prebuilt library/);
    expect(error.hint).toMatch(/apt-get install gcc/);
    expect((await describeCpu()).available).toBe(false);
  });

  test("auto takes the reference device with one warning", async () => {
    const warnings: string[] = [];
    const backend = await openBackend("auto", { warn: (message) => warnings.push(message) });
    expect(backend.info.name).toBe("reference");
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/reference device takes its place.*\n?.*Install a C compiler/s);
    expect(resolveDevice("auto")).toBe("reference");
    expect(deviceClassOf("auto")).toBe("reference");
  });
});

test("cuda is refused by name where there is none, and auto does without", async () => {
  vi.stubEnv("STLM_CUDA_LIBRARY", "none");
  const refused = /^The cuda device cannot be used: .*STLM_CUDA_LIBRARY is none/;
  expect((await failureOf(openBackend("cuda"))).message).toMatch(refused);
  expect((await failureOf(openBackend("cuda", { precision: "f32" }))).code).toBe("PRECISION");
  expect(() => deviceClassOf("cuda")).toThrow(refused);
  expect(["cpu", "reference"]).toContain(resolveDevice("auto"));
  expect(resolveDevice("auto", "bf16")).toBe(resolveDevice("auto"));
  expect(deviceClassOf("cpu")).toBe("cpu-f32");
});

test("an unknown STLM_CPU_ISA is answered with the known ones", async () => {
  vi.stubEnv("STLM_CPU_ISA", "sse9");
  expect((await failureOf(openBackend("cpu"))).message).toMatch(
    /sse9; it can be amx, avx512bf16, avx512, avx2, portable/,
  );
});

describe.skipIf(withoutCompiler !== "")(`with a compiler${withoutCompiler}`, () => {
  test("two builders at once make one library and leave nothing else", { timeout: 120_000 }, async () => {
    vi.stubEnv("XDG_CACHE_HOME", folder);
    const [first, second] = await Promise.all([findLibrary(isa!), findLibrary(isa!)]);
    expect(first.path).toBe(second.path);
    expect(readdirSync(path.join(folder, "stlm-pipeline"))).toEqual([path.basename(first.path!)]);
    expect(path.basename(first.path!)).toMatch(new RegExp(`^cpu-${isa}-[0-9a-f]{32}\\.so$`));
    const { available, library, compiler } = await describeCpu();
    expect({ available, library }).toEqual({ available: true, library: first.path });
    expect(compiler).toMatch(/\d/);
  });

  test("a cache that cannot be written gives way to the temporary files", { timeout: 120_000 }, async () => {
    writeFileSync(path.join(folder, "file"), "");
    vi.stubEnv("XDG_CACHE_HOME", path.join(folder, "file"));
    vi.stubEnv("TMPDIR", folder);
    // A compiler that only copies: what is compiled does not matter here.
    vi.stubEnv("CC", fakeCompiler('for last; do :; done; echo library > "$last"'));
    const library = await findLibrary(isa!);
    expect(library.path?.startsWith(path.join(folder, "stlm-pipeline-"))).toBe(true);
    expect(existsSync(library.path!)).toBe(true);
  });

  test("a compiler that fails is quoted in a few lines", async () => {
    vi.stubEnv("XDG_CACHE_HOME", folder);
    vi.stubEnv("CC", fakeCompiler("for i in 1 2 3 4 5 6 7 8 9; do echo broken header $i >&2; done; exit 1"));
    const error = await failureOf(createCpuBackend({ isa: isa! }));
    expect(error.message).toMatch(/fake-cc: broken header 1\nbroken header 2/);
    expect(error.message.split("\n").length).toBeLessThan(8);
    expect(readdirSync(path.join(folder, "stlm-pipeline"))).toEqual([]);
  });

  test("the package's prebuilt library serves where there is no compiler", { timeout: 120_000 }, async () => {
    await makePackage();
    vi.stubEnv("PATH", folder);
    vi.stubEnv("CC", "");
    expect(resolveDevice("auto")).toBe("cpu");
    const backend = await createCpuBackend({ isa: isa!, threads: 1 });
    expect(backend.info.description).toBe(`cpu (${isa}, 1 threads, prebuilt)`);
    backend.close();
  });

  test("a prebuilt library of other sources or without their digest is refused", { timeout: 120_000 }, async () => {
    const prebuilt = await makePackage();
    copyFileSync(prebuilt, path.join(path.dirname(prebuilt), `cpu-${isa}.so`));
    appendFileSync(path.join(sourceFolder(), "rms-norm.c"), "int changed;\n");
    vi.stubEnv("PATH", folder);
    vi.stubEnv("CC", "");
    expect(resolveDevice("auto")).toBe("reference");
    const { message } = await failureOf(createCpuBackend({ isa: isa! }));
    expect(message).toMatch(/no C compiler .* on the PATH\n\(the prebuilt library is of other sources: .*cpu-/);
  });

  test("a compiler that fails gives way to a matching prebuilt library alone", { timeout: 120_000 }, async () => {
    await makePackage();
    vi.stubEnv("XDG_CACHE_HOME", folder);
    vi.stubEnv("CC", fakeCompiler("echo broken header >&2; exit 1"));
    expect(await findLibrary(isa!)).toEqual({ path: prebuiltPath(isa!), isa, source: "prebuilt" });
    appendFileSync(path.join(sourceFolder(), "rms-norm.c"), "int changed;\n");
    const { message } = await failureOf(createCpuBackend({ isa: isa! }));
    expect(message).toMatch(/fake-cc: broken header\n\(the prebuilt library is of other sources/);
  });
});

/** A package in `folder` with the sources and their prebuilt library, whose path is returned. */
async function makePackage(): Promise<string> {
  const built = await findLibrary(isa!);
  const sources = sourceFolder();
  vi.stubEnv("STLM_PACKAGE_ROOT", folder);
  cpSync(sources, sourceFolder(), { recursive: true });
  mkdirSync(path.dirname(prebuiltPath(isa!)), { recursive: true });
  copyFileSync(built.path!, prebuiltPath(isa!));
  return prebuiltPath(isa!);
}

function fakeCompiler(body: string): string {
  const file = path.join(folder, "fake-cc");
  writeFileSync(file, `#!/bin/sh\nif [ "$1" = --version ]; then echo fake 1.0; exit 0; fi\n${body}\n`);
  chmodSync(file, 0o755);
  return file;
}
