import fc from "fast-check";
import { expect, test } from "vitest";
import { cite, enumerate, formatNumber, formatP, formatPower, formatTable, plural } from "../../src/report/markdown.ts";

test("numbers are grouped, rounded, and have a true minus sign but never a minus zero", () => {
  expect(formatNumber(1_262_720, 0)).toBe("1,262,720");
  expect(formatNumber(4096, 0)).toBe("4,096");
  expect(formatNumber(-1234.5678, 2)).toBe("−1,234.57");
  expect(formatNumber(-0.00001, 4)).toBe("0.0000");
});

test("a formatted number reads back as the number, to its digits", () => {
  fc.assert(
    fc.property(fc.double({ min: -1e9, max: 1e9, noNaN: true }), fc.nat(6), (value, digits) => {
      const read = Number(formatNumber(value, digits).replaceAll(",", "").replace("−", "-"));
      expect(Math.abs(read - value)).toBeLessThanOrEqual(0.5 * 10 ** -digits + 1e-6);
    }),
  );
});

test("powers of ten, p-values, plurals and lists read as in a paper", () => {
  expect(formatPower(1.234e17)).toBe("1.23 × 10¹⁷");
  expect(formatPower(0.00021)).toBe("2.10 × 10⁻⁴");
  expect(formatPower(0)).toBe("0");
  expect([formatP(0.0345), formatP(0.0002), formatP(1)]).toEqual(["0.035", "< 0.001", "1.000"]);
  expect([plural(1, "run"), plural(2, "run"), plural(0, "run")]).toEqual(["1 run", "2 runs", "0 runs"]);
  expect([enumerate([]), enumerate(["a"]), enumerate(["a", "b"]), enumerate(["a", "b", "c"])]).toEqual([
    "",
    "a",
    "a and b",
    "a, b and c",
  ]);
});

test("a bar inside a cell does not break the table, and a hash is cited by its first 12 digits", () => {
  expect(formatTable(["a", "b"], [["x|y", "1"]], ["left", "right"])).toBe(
    ["| a    |  b |", "| :--- | -: |", "| x\\|y |  1 |"].join("\n"),
  );
  expect(cite(`sha256:${"0123456789abcdef".repeat(4)}`)).toBe("`0123456789ab`");
});
