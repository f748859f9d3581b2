// What the test files get for `vitest` in the bundle for GPU machines, where vitest itself, which brings a bundler and a server of its
// own, does not travel: its runner and its assertions are packages that stand alone.

import {
  ASYMMETRIC_MATCHERS_OBJECT,
  chai,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState,
} from "@vitest/expect";
import { restoreAllMocks, spyOn } from "@vitest/spy";

export { afterAll, afterEach, beforeAll, beforeEach, describe, test } from "@vitest/runner";

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

type Globals = Readonly<Record<symbol, object>>;

/** Assertions, `expect.fail` and matchers such as `expect.stringMatching`. */
export const expect = Object.assign(
  (value: unknown, message?: string) => chai.expect(value, message),
  chai.expect,
  (globalThis as unknown as Globals)[ASYMMETRIC_MATCHERS_OBJECT],
);
setState({ assertionCalls: 0 }, expect as never);

const replaced = new Map<string, string | undefined>();

/** As much of `vi` as the tests use. */
export const vi = {
  spyOn,
  restoreAllMocks,
  stubEnv(name: string, value: string): void {
    if (!replaced.has(name)) replaced.set(name, process.env[name]);
    process.env[name] = value;
  },
  unstubAllEnvs(): void {
    for (const [name, value] of replaced) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    replaced.clear();
  },
};
