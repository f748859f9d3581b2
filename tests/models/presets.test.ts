import { expect, test } from "vitest";
import { countParameters, type ModelConfig } from "../../src/models/config.ts";
import { trainingFlopsPerToken } from "../../src/models/flops.ts";
import { presets } from "../../src/models/presets.ts";
import { Transformer } from "../../src/models/transformer.ts";

test.each(Object.entries(presets))(
  "%s has exactly the declared number of parameters, counted and built",
  (_, preset) => {
    expect(countParameters(preset.config)).toBe(preset.parameters);
    expect(new Transformer(preset.config).countParameters()).toBe(preset.parameters);
  },
);

test("the paper's counts are those of its table", () => {
  const counts = (["stlm-50m", "stlm-50m-simple-ffn", "stlm-50m-learned", "stlm-47m", "stlm-47m-learned"] as const).map(
    (name) => presets[name].parameters,
  );
  expect(counts).toEqual([49_857_536, 49_857_536, 50_119_680, 47_203_328, 47_465_472]);
});

test("biases, LayerNorm and an untied head are counted as they are built", () => {
  const nano: ModelConfig = presets.nano.config;
  const variants: Partial<ModelConfig>[] = [
    { bias: true },
    { norm: "layer" },
    { norm: "layer", bias: true },
    { tied: false },
    { positions: "learned", ffn: "gelu", bias: true },
  ];
  for (const variant of variants) {
    const config = { ...nano, ...variant };
    expect(new Transformer(config).countParameters()).toBe(countParameters(config));
  }
});

test("operations per token follow the paper's estimate for the baseline", () => {
  // 6 * 49,857,536 + 12 * 8 * 512 * 512
  expect(trainingFlopsPerToken(presets["stlm-50m"].config)).toBe(324_311_040);
  const learned = trainingFlopsPerToken(presets["stlm-50m-learned"].config);
  expect(learned).toBe(324_311_040); // a table that is only looked up costs nothing
});
