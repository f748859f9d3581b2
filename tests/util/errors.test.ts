import { expect, test } from "vitest";
import { closest, formatUserError, UserError } from "../../src/util/errors.ts";
import { formatBytes, formatCount, formatDuration } from "../../src/util/format.ts";

test("a user error says what, where and what to do next", () => {
  const error = new UserError('Stage "train" asks for model "gpt-tny", which does not exist.', {
    code: "UNKNOWN_MODEL",
    where: { file: "pipeline.yaml", line: 31, column: 12, path: "stages.train.params.model" },
    hint: 'Models are: byte-pooled, gpt. Did you mean "gpt"?',
  });
  expect(formatUserError(error)).toBe(
    [
      'Stage "train" asks for model "gpt-tny", which does not exist. (UNKNOWN_MODEL)',
      "  pipeline.yaml:31:12   stages.train.params.model",
      '  Models are: byte-pooled, gpt. Did you mean "gpt"?',
    ].join("\n"),
  );
});

test("a suggestion is offered for a typing error and not for another word", () => {
  expect(closest("stpes", ["steps", "seed"])).toBe("steps");
  expect(closest("elephant", ["steps", "seed"])).toBeUndefined();
});

test("numbers are spelled one way", () => {
  expect(formatCount(49857536)).toBe("49,857,536");
  expect(formatBytes(1_650_000)).toBe("1.65 MB");
  expect([350, 12_340, 245_000, 7_380_000].map(formatDuration)).toEqual([
    "350 ms",
    "12.3 s",
    "4 min 05 s",
    "2 h 03 min",
  ]);
});
