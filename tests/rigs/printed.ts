// What a command prints on standard output when it is called in this process.

import { expect, vi } from "vitest";

/** Runs a command that must end with exit code 0. Rejects with what it throws. */
export async function printedBy(run: () => Promise<number>): Promise<string> {
  let printed = "";
  const spy = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += text;
    return true;
  });
  try {
    expect(await run()).toBe(0);
  } finally {
    spy.mockRestore();
  }
  return printed;
}
