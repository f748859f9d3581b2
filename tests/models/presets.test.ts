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

/** What the rows of table 2 may have been, as far as their rounded counts say; each total was worked out by hand. */
const stlm50m: ModelConfig = presets["stlm-50m"].config;
const stlm47m: ModelConfig = presets["stlm-47m"].config;
const readings: Record<string, [config: ModelConfig, parameters: number]> = {
  "untied embedding": [{ ...stlm50m, tied: false }, 75_589_120],
  "a key/value head for each query head": [{ ...stlm50m, numKvHeads: 16 }, 53_003_264],
  "one key/value head": [{ ...stlm50m, numKvHeads: 1 }, 49_071_104],
  "GELU with biases": [{ ...stlm50m, ffn: "gelu", ffnDim: 2304, bias: true }, 49_890_304],
  "narrow with biases, sinusoids": [{ ...stlm47m, bias: true, positions: "sincos" }, 47_238_784],
  "narrow with biases, learned positions": [{ ...stlm47m, bias: true, positions: "learned" }, 47_500_928],
  "feed-forward of 1,344": [{ ...stlm50m, ffnDim: 1344 }, 47_498_240],
  "feed-forward of 1,344, learned positions": [{ ...stlm50m, ffnDim: 1344, positions: "learned" }, 47_760_384],
  "ten layers": [{ ...stlm50m, numLayers: 10 }, 55_888_896],
  "ten narrow layers": [{ ...stlm47m, numLayers: 10 }, 52_571_136],
};

test.each(Object.entries(readings))("a reading of the paper has its count: %s", (_, [config, parameters]) => {
  expect(countParameters(config)).toBe(parameters);
  expect(new Transformer(config).countParameters()).toBe(parameters);
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
