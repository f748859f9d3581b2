import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { loadPipeline } from "../../src/pipeline/config.ts";
import type { StageModule } from "../../src/pipeline/modules.ts";
import { defineStage, type StageDefinition } from "../../src/pipeline/stage.ts";
import { formatUserError, UserError } from "../../src/util/errors.ts";

const definitions: Record<string, StageDefinition> = {
  source: defineStage({
    doc: "Makes text.",
    inputs: {},
    params: z.strictObject({ dataset: z.enum(["stories", "speeches"]) }),
    outputs: { corpus: "dataset" },
    determinism: "external",
    run: async () => {},
  }) as unknown as StageDefinition,
  train: defineStage({
    doc: "Trains.",
    inputs: { corpus: "dataset" },
    params: z.strictObject({
      steps: z.int().min(1),
      rate: z.number().default(0.1),
      model: z.strictObject({ width: z.int(), depth: z.int().default(2) }).optional(),
      dropout: z
        .discriminatedUnion("shape", [
          z.strictObject({ shape: z.literal("early"), until: z.int() }),
          z.strictObject({ shape: z.literal("late"), from: z.int() }),
        ])
        .optional(),
    }),
    outputs: { model: "model", notes: "files" },
    determinism: "bitwise",
    seeded: true,
    run: async () => {},
  }) as unknown as StageDefinition,
  dated: defineStage({
    doc: "Has a parameter that is no JSON.",
    inputs: {},
    params: z.strictObject({
      day: z
        .number()
        .default(1)
        .transform((day) => new Date(day)),
    }),
    outputs: { out: "files" },
    determinism: "bitwise",
    run: async () => {},
  }) as unknown as StageDefinition,
  report: defineStage({
    doc: "Reports.",
    inputs: { models: "model[]", one: "model?" },
    params: z.strictObject({ hypotheses: z.array(z.looseObject({ name: z.string() })).default([]) }),
    outputs: { report: "report" },
    determinism: "bitwise",
    run: async () => {},
  }) as unknown as StageDefinition,
};

async function loadModule(use: string): Promise<StageModule> {
  const definition = definitions[use];
  if (!definition) throw new UserError(`There is no stage module "${use}".`, { code: "UNKNOWN_STAGE_MODULE" });
  const code = { bundle: "sha256:0", native: {}, packages: {} } as const;
  return { use, file: `${use}.ts`, definition, code, nativeFiles: {}, bundleFile: "" };
}

const BASE = `profile: small
params:
  corpus: { dataset: stories }
  models:
    wide: { width: 8 }
    deep: { extends: wide, depth: 9 }
  train: { steps: 5 }
profiles:
  small: {}
  large:
    train: { steps: 50 }
    models: { wide: { width: 80 } }
stages:
  corpus: { use: source }
  train:
    use: train
    matrix: { model: [wide, deep], seed: [1, 2] }
    inputs: { corpus: corpus }
    params: { model: "\${models.\${model}}" }
  report:
    use: report
    inputs: { models: "train[*]" }
hypotheses:
  deep-is-better:
    claim: Deep beats wide.
    treatment: { model: deep }
    control: { model: wide }
    metric: loss
    direction: lower
    smallestEffect: 0.1
`;

/** Lists of which each stands for two of the one before. */
function doublings(count: number): string {
  return Array.from({ length: count }, (_, n) => `  a${n + 1}: &a${n + 1} [*a${n}, *a${n}]`).join("\n");
}

function command(settings: string): string {
  return BASE.replace("hypotheses:", `  shell: { cmd: "true", ${settings} }\nhypotheses:`);
}

function load(text: string, options: { profile?: string; set?: string[] } = {}) {
  const file = path.join(mkdtempSync(path.join(tmpdir(), "stlm-config-")), "pipeline.yaml");
  writeFileSync(file, text);
  return loadPipeline({ file, loadModule, ...options });
}

async function failure(text: string, options: { profile?: string; set?: string[] } = {}): Promise<string> {
  try {
    await load(text, options);
  } catch (error) {
    if (error instanceof UserError) return formatUserError(error);
    throw error;
  }
  throw new Error("the pipeline was accepted");
}

describe("a good pipeline.yaml", () => {
  test("becomes instances in topological order with resolved parameters", async () => {
    const pipeline = await load(BASE);
    expect(pipeline.nodes.map((node) => node.id)).toEqual([
      "corpus",
      "train[model=wide,seed=1]",
      "train[model=wide,seed=2]",
      "train[model=deep,seed=1]",
      "train[model=deep,seed=2]",
      "report",
    ]);
    const deep = pipeline.byId.get("train[model=deep,seed=2]")!;
    expect(deep.params).toEqual({ steps: 5, rate: 0.1, model: { width: 8, depth: 9 } });
    expect(deep.seed).toBe(2);
    expect(deep.inputs).toEqual({ corpus: { node: "corpus", output: "corpus" } });
    expect(pipeline.byId.get("report")!.inputs["models"]).toHaveLength(4);
  });

  test("hands the registered hypotheses to the stage that writes the report", async () => {
    const { params } = (await load(BASE)).byId.get("report")!;
    expect(params["hypotheses"]).toMatchObject([{ name: "deep-is-better", smallestEffect: 0.1 }]);
  });

  test("takes a profile's values over the shared ones, before extends", async () => {
    const node = (await load(BASE, { profile: "large" })).byId.get("train[model=deep,seed=1]")!;
    expect(node.params).toEqual({ steps: 50, rate: 0.1, model: { width: 80, depth: 9 } });
  });

  test("takes --set over the profile, and lets it change the matrix", async () => {
    const pipeline = await load(BASE, { profile: "large", set: ["train.steps=7", "stages.train.matrix.seed=[3]"] });
    expect(pipeline.byId.get("train[model=wide,seed=3]")!.params["steps"]).toBe(7);
    expect(pipeline.byId.has("train[model=wide,seed=1]")).toBe(false);
  });

  test("takes --set over the profile that it chooses, in either order, and over the first one where none is named", async () => {
    const stepsOf = async (text: string, set: string[]) =>
      (await load(text, { set })).byId.get("train[model=wide,seed=1]")!.params["steps"];
    expect(await stepsOf(BASE, ["train.steps=7", "profile=large"])).toBe(7);
    expect(await stepsOf(BASE, ["profile=large", "train.steps=7"])).toBe(7);
    const unnamed = BASE.replace("profile: small\n", "").replace("small: {}", "small: { train: { steps: 9 } }");
    expect(await stepsOf(unnamed, [])).toBe(9);
    expect(await stepsOf(unnamed, ["train.steps=7"])).toBe(7);
    expect(await stepsOf(BASE, ["train.steps=7", "profiles.new.train.steps=8", "profile=new"])).toBe(8);
  });

  test("leaves excluded cells out and adds included ones", async () => {
    const text = BASE.replace(
      "seed: [1, 2] }",
      "seed: [1, 2], exclude: [{ model: deep, seed: 2 }], include: [{ model: deep, seed: 7 }] }",
    );
    const ids = (await load(text)).nodes.map((node) => node.id).filter((id) => id.startsWith("train"));
    expect(ids).toEqual([
      "train[model=wide,seed=1]",
      "train[model=wide,seed=2]",
      "train[model=deep,seed=1]",
      "train[model=deep,seed=7]",
    ]);
  });

  test("lets a stage extend another", async () => {
    const text = `${BASE.replace("hypotheses:", "  again: { extends: train, matrix: { model: [wide] }, params: { steps: 1 } }\nhypotheses:")}`;
    const node = (await load(text)).byId.get("again[model=wide,seed=1]")!;
    expect(node.params).toMatchObject({ steps: 1, model: { width: 8 } });
  });

  test("substitutes matrix values into a command and leaves the shell's variables alone", async () => {
    const text = BASE.replace(
      "hypotheses:",
      '  plot: { cmd: "plot ${which} ${train.steps} ${HOME}", matrix: { which: [a] }, inputs: { models: "train[*].model" }, outs: [out/] }\nhypotheses:',
    );
    const node = (await load(text)).byId.get("plot[which=a]")!;
    expect(node.work).toMatchObject({ kind: "command", command: { command: "plot a 5 ${HOME}", outs: ["out/"] } });
    expect(node.inputs["models"]).toHaveLength(4);
  });
});

describe("a mistake in pipeline.yaml is one message that says where", () => {
  const cases: Record<string, [string, { profile?: string; set?: string[] }?]> = {
    "a typo in a top-level key": [BASE.replace("hypotheses:", "hypothesis:")],
    "a typo in a stage key": [BASE.replace("inputs: { corpus: corpus }", "input: { corpus: corpus }")],
    "a typo in a parameter": [BASE.replace("steps: 50", "stepz: 50"), { profile: "large" }],
    "a typo in a parameter given by --set": [BASE, { set: ["train.stpes=50"] }],
    "a typo in a namespace": [BASE.replace("train: { steps: 5 }", "trian: { steps: 5 }")],
    "an unknown model in the matrix": [BASE.replace("[wide, deep]", "[wide, deap]")],
    "an unknown stage module": [BASE.replace("use: source", "use: sauce")],
    "an unknown input stage": [BASE.replace("corpus: corpus }", "corpus: corpsu }")],
    "an unknown input name": [BASE.replace("inputs: { corpus: corpus }", "inputs: { corpos: corpus }")],
    "a missing input": [BASE.replace("    inputs: { corpus: corpus }\n", "")],
    "an illegal value": [BASE.replace("dataset: stories", "dataset: storys")],
    "a missing value": [BASE.replace("train: { steps: 5 }", "train: {}")],
    "a wrong type": [BASE.replace("train: { steps: 5 }", "train: { steps: many }")],
    "a stage with neither use nor cmd": [BASE.replace("corpus: { use: source }", "corpus: {}")],
    "an unknown profile": [BASE, { profile: "larg" }],
    "a profile where there are none": [
      BASE.replace("profile: small\n", "").replace(/profiles:\n( .*\n)+/, ""),
      { profile: "large" },
    ],
    "parameters that an axis hides": [BASE, { set: ["model.wide.width=9"] }],
    "a typo in a key that must be there": [BASE.replace("smallestEffect", "smallestEfect")],
    "a typo in one kind of several": [
      BASE.replace("train: { steps: 5 }", "train: { steps: 5, dropout: { shape: early, untl: 3 } }"),
    ],
    "an extends that goes in a circle": [BASE.replace("wide: { width: 8 }", "wide: { extends: deep, width: 8 }")],
    "broken YAML": [BASE.replace("params:", "params: {")],
    "one input for many instances": [BASE.replace("inputs: { models:", "inputs: { one: train, models:")],
    "one input of a command for many instances": [command('outs: [o], inputs: { models: "train[model=wide].model" }')],
    "a --set without a value": [BASE, { set: ["train.steps"] }],
    "a quoted seed": [BASE.replace("seed: [1, 2]", 'seed: [1, "2"]')],
    "a fractional seed": [BASE.replace("seed: [1, 2]", "seed: [1, 1.5]")],
    "a seed too large in an included cell": [
      BASE.replace("seed: [1, 2]", "seed: [1, 2], include: [{ model: deep, seed: 4294967296 }]"),
    ],
    "a typo in the selection of a list": [BASE.replace('"train[*]"', '"train[modell=deep]"')],
    "a hypothesis with an unknown axis": [BASE.replace("treatment: { model: deep }", "treatment: { modell: deep }")],
    "a hypothesis with an unknown value": [BASE.replace("control: { model: wide }", "control: { model: wid }")],
    "a parameter that is no JSON": [BASE.replace("hypotheses:", "  when: { use: dated }\nhypotheses:")],
    "a command with params": [command("outs: [o], params: { a: 1 }")],
    "a command with a seed": [command("outs: [o], seed: 2")],
    "a command without outs": [command("env: { A: b }")],
    "a command with an out outside": [command("outs: [o, ../o]")],
    "an alias inside of its own value": [
      BASE.replace("profiles:", "profiles: &all").replace("small: {}", "small: *all"),
    ],
    "aliases of aliases without end": [`params:\n  a0: &a0 [1, 1]\n${doublings(20)}\nstages: {}`],
    "several YAML documents": [`${BASE}---\nstages: {}\n`],
    "two cells of one name": [BASE.replace("[wide, deep], seed: [1, 2]", "[wide, deep], n: [1, '1'], seed: [1, 2]")],
    "half a GPU": [BASE.replace("  corpus: { use: source }", "  corpus: { use: source, resources: { gpu: 0.5 } }")],
    "an unknown resource": [
      BASE.replace("  corpus: { use: source }", "  corpus: { use: source, resources: { gpus: 1 } }"),
    ],
  };
  for (const [name, [text, options]] of Object.entries(cases)) {
    test(name, async () => {
      await expect(`${await failure(text, options)}\n`).toMatchFileSnapshot(
        `../golden/config/${name.replaceAll(" ", "-").replaceAll("--", "-")}.txt`,
      );
    });
  }
});

test("a circle of stages names each of them", async () => {
  const text = `stages:
  a: { cmd: "x", inputs: { b: b }, outs: [o] }
  b: { cmd: "x", inputs: { c: c }, outs: [o] }
  c: { cmd: "x", inputs: { a: a }, outs: [o] }
`;
  expect(await failure(text)).toContain("a -> b -> c -> a");
});

test("a missing pipeline.yaml says what to do", async () => {
  await expect(loadPipeline({ file: "/nonexistent/pipeline.yaml", loadModule })).rejects.toThrow(
    /There is no pipeline.yaml/,
  );
});
