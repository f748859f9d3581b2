// Generation's attention: reading earlier positions from a cache must give what reading the whole sequence gives.

import { afterAll, describe, expect, test } from "vitest";
import { CounterRandom } from "../../src/util/philox.ts";
import { openDevices } from "./devices.ts";

const devices = await openDevices();
afterAll(() => {
  for (const { backend } of devices) backend.close();
});

describe.each(devices)("$name", ({ backend }) => {
  test.each([1, 2, 3, 4, 5, 6])("a sequence in pieces has the bits of the whole one (seed %i)", (seed) => {
    const random = new CounterRandom(seed, 98);
    let index = 0;
    const draw = (min: number, max: number) => min + random.integer(index++, max - min + 1);
    const [B, T, Hkv, D] = [draw(1, 2), draw(2, 70), draw(1, 2), 2 * draw(1, 20)];
    const H = Hkv * draw(1, 3);
    const width = (H + 2 * Hkv) * D;
    const sizes = { B, H, Hkv, D, scale: 1 / Math.sqrt(D) };
    const values = Float32Array.from({ length: B * T * width }, () => random.normal(index++));
    const upload = (numbers: Float32Array) => {
      const buffer = backend.allocate("f32", numbers.length);
      backend.write(buffer, numbers);
      return buffer;
    };

    const whole = { y: backend.allocate("f32", B * T * H * D), logSumExp: backend.allocate("f32", B * H * T) };
    backend.kernels.attention({ ...sizes, ...whole, qkv: upload(values), T });
    const expected = backend.read(whole.y);

    const capacity = T + draw(0, 3);
    const keysValues = backend.allocate("f32", B * capacity * 2 * Hkv * D);
    const found = new Float32Array(expected.length);
    for (let first = 0; first < T; ) {
      const count = Math.min(T - first, draw(1, 9));
      const rows = Array.from({ length: B }, (_, b) =>
        values.subarray((b * T + first) * width, (b * T + first + count) * width),
      );
      const qkv = upload(Float32Array.from(rows.flatMap((row) => [...row])));
      const y = backend.allocate("f32", B * count * H * D);
      const logSumExp = backend.allocate("f32", B * H * count);
      const cache = { keysValues, capacity, firstPosition: first };
      backend.kernels.attention({ ...sizes, y, logSumExp, qkv, T: count, cache });
      const part = backend.read(y);
      for (let b = 0; b < B; b++) {
        found.set(part.subarray(b * count * H * D, (b + 1) * count * H * D), (b * T + first) * H * D);
      }
      first += count;
    }
    expect(Buffer.compare(Buffer.from(found.buffer), Buffer.from(expected.buffer))).toBe(0);
  });

  test("a call that does not fit the cache is refused with the numbers", () => {
    const sizes = { B: 1, T: 3, H: 1, Hkv: 1, D: 2, scale: 1 };
    const buffer = (length: number) => backend.allocate("f32", length);
    const args = { ...sizes, y: buffer(6), logSumExp: buffer(3), qkv: buffer(18) };
    const cache = { keysValues: buffer(16), capacity: 4, firstPosition: 2 };
    expect(() => backend.kernels.attention({ ...args, cache })).toThrow("positions up to 5 do not fit a cache of 4");
  });

  test("embedding adds the positions from the first one on", () => {
    const [T, C, V] = [2, 3, 2];
    const fill = (length: number, from: number) => {
      const made = backend.allocate("f32", length);
      backend.write(
        made,
        Float32Array.from({ length }, (_, i) => from + i),
      );
      return made;
    };
    const y = backend.allocate("f32", T * C);
    const ids = backend.allocate("i32", T);
    backend.write(ids, Int32Array.of(1, 0));
    const common = { y, table: fill(V * C, 0), ids, N: T, T, C, V };
    backend.kernels.embedding({ ...common, positions: fill(5 * C, 100), firstPosition: 3 });
    expect([...backend.read(y)]).toEqual([3 + 109, 4 + 110, 5 + 111, 0 + 112, 1 + 113, 2 + 114]);
    expect(() => backend.kernels.embedding({ ...common, positions: fill(4 * C, 0), firstPosition: 3 })).toThrow(
      RangeError,
    );
  });
});
