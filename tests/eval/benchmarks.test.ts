import { describe, expect, test } from "vitest";
import { blimpParadigms } from "../../src/data/datasets/blimp-paradigms.ts";
import { preprocess } from "../../src/eval/benchmarks/hellaswag.ts";
import { type BenchmarkName, benchmarkNames, benchmarks } from "../../src/eval/benchmarks/index.ts";
import { makeItems, protocolNames } from "../../src/eval/item.ts";
import { buildRequest } from "../../src/eval/requests.ts";
import { bundledRows, bytesEncoder, gpt2Encoder, spell } from "./helpers.ts";

const bundled: Record<Exclude<BenchmarkName, "arc-challenge">, string> = {
  blimp: "blimp-6700",
  hellaswag: "hellaswag-200",
  "arc-easy": "arc-easy-200",
  winogrande: "winogrande-200",
  mmlu: "mmlu-228",
};

describe("BLiMP", () => {
  const row = { sentence_good: "Who eats?", sentence_bad: "Who eat?", UID: "agreement" };
  const wording = benchmarks.blimp.question(row).wordings;

  test("asks for the good sentence first, after nothing", () => {
    expect(wording.harness).toEqual({
      gold: 0,
      choices: [
        { context: "", continuation: " Who eats?" },
        { context: "", continuation: " Who eat?" },
      ],
    });
    expect(wording.stlm).toEqual(wording.harness);
  });

  test("takes the paradigm as subtask and cluster", () => {
    expect(benchmarks.blimp.question(row)).toMatchObject({ subtask: "agreement", cluster: "agreement" });
  });
});

describe("HellaSwag", () => {
  const hub = {
    activity_label: "Roof shingle removal",
    ctx_a: "A man is sitting on a roof.",
    ctx_b: "he SMILES",
    ctx: "A man is sitting on a roof. he SMILES",
    endings: ["[title] is  here.", " starts [substeps] pulling", "a", "b"],
    label: "3",
    source_id: "activitynet~v_1",
  };

  test("preprocesses in the harness's order, and strips only once", () => {
    expect(preprocess("  How to cook [header] Wash it [title] Dry it [step] Go  ")).toBe(
      "How to cook Wash it. Dry it Go",
    );
    expect(preprocess("[substeps] Put on shoes.")).toBe(" Put on shoes.");
    expect(preprocess("Go home [step]")).toBe("Go home ");
    expect(preprocess("a    b   c")).toBe("a  b  c");
    expect(preprocess("keep [open and [a] b]")).toBe("keep  b]".replace("  ", " "));
    expect(preprocess("[not\nclosed]")).toBe("[not\nclosed]");
  });

  test("builds the context from the label and both halves, the second capitalised", () => {
    const { harness } = benchmarks.hellaswag.question(hub).wordings;
    expect(harness.gold).toBe(3);
    expect(harness.choices[0]!.context).toBe("Roof shingle removal: A man is sitting on a roof. He smiles");
  });

  test("removes the space that an empty second half leaves", () => {
    const { harness } = benchmarks.hellaswag.question({ ...hub, ctx_b: "" }).wordings;
    expect(harness.choices[0]!.context).toBe("Roof shingle removal: A man is sitting on a roof.");
  });

  test("keeps a space that preprocessing leaves before an ending", () => {
    const { harness } = benchmarks.hellaswag.question({ ...hub, endings: ["[step] Dig.", "x", "y", "z"] }).wordings;
    expect(harness.choices[0]!.continuation).toBe("  Dig.");
  });

  test("gives the paper's protocol the raw scene and endings, the right one first", () => {
    const { stlm } = benchmarks.hellaswag.question(hub).wordings;
    expect(stlm.gold).toBe(0);
    expect(stlm.choices[0]).toEqual({ context: hub.ctx, continuation: " b" });
    expect(stlm.choices[1]!.continuation).toBe(" [title] is  here.");
  });

  test("reads the reduced form", () => {
    const row = { query: "Sumo: A ring. two men", endings: ["fight", "eat", "run", "sit"], label: "0" };
    const question = benchmarks.hellaswag.question(row);
    expect(question.wordings.harness.choices[0]).toEqual({ context: "Sumo: A ring. two men", continuation: " fight" });
    expect(question.wordings.stlm.choices[0]!.context).toBe("A ring. two men");
    expect(question.cluster).toBe("Sumo");
  });

  test("refuses the unlabelled rows of the test split", () => {
    expect(() => benchmarks.hellaswag.question({ ...hub, label: "" })).toThrow();
  });
});

describe("ARC", () => {
  const row = (label: string[], answerKey: string) => ({
    question: "Why?",
    choices: { text: ["p", "q", "r", "s"].slice(0, label.length), label },
    answerKey,
  });

  test.each([
    [["A", "B", "C", "D"], "C", 2],
    [["1", "2", "3", "4"], "4", 3],
    [["A", "B", "C"], "A", 0],
  ])("finds the gold of labels %j and key %s by place", (labels, key, gold) => {
    const { harness, stlm } = benchmarks["arc-easy"].question(row(labels, key)).wordings;
    expect(harness.gold).toBe(gold);
    expect(harness.choices[gold]).toEqual({ context: "Question: Why?\nAnswer:", continuation: ` ${"pqrs"[gold]}` });
    expect(stlm.choices[0]).toEqual({ context: "Why?", continuation: ` ${"pqrs"[gold]}` });
    expect(stlm.choices).toHaveLength(labels.length);
  });

  test("refuses a key that is no label", () => {
    expect(() => benchmarks["arc-easy"].question(row(["A", "B"], "E"))).toThrow("answerKey");
  });
});

describe("WinoGrande", () => {
  const row = { sentence: "Ann beat Sue so _ 's glad. ", option1: "Ann", option2: "Sue $&", answer: "2" };
  const { harness, stlm } = benchmarks.winogrande.question(row).wordings;

  test("scores the same rest of the sentence after each option", () => {
    expect(harness).toEqual({
      gold: 1,
      choices: [
        { context: "Ann beat Sue so Ann", continuation: " 's glad." },
        { context: "Ann beat Sue so Sue $&", continuation: " 's glad." },
      ],
    });
  });

  test("gives the paper's protocol the whole sentence", () => {
    expect(stlm.gold).toBe(0);
    expect(stlm.choices.map(({ continuation }) => continuation)).toEqual([
      " Ann beat Sue so Sue $& 's glad. ",
      " Ann beat Sue so Ann 's glad. ",
    ]);
  });

  test("puts twin sentences into one cluster", () => {
    const twin = benchmarks.winogrande.question({ ...row, option1: row.option2, option2: row.option1 });
    expect(twin.cluster).toBe(benchmarks.winogrande.question(row).cluster);
  });
});

describe("MMLU", () => {
  const row = { question: " What is 1 + 1? ", subject: "abstract_algebra", choices: ["0", "1", "2", "3"], answer: 2 };
  const { harness, stlm } = benchmarks.mmlu.question(row).wordings;

  test("asks for a letter after the harness's prompt", () => {
    const context =
      "The following are multiple choice questions (with answers) about abstract algebra.\n\n" +
      "What is 1 + 1?\nA. 0\nB. 1\nC. 2\nD. 3\nAnswer:";
    expect(harness.gold).toBe(2);
    expect(harness.choices).toEqual([" A", " B", " C", " D"].map((continuation) => ({ context, continuation })));
  });

  test("gives the paper's protocol the list of options and the text of each", () => {
    expect(stlm.choices[0]).toEqual({ context: " What is 1 + 1? ", continuation: " Options: 0;1;2;3\n Answer: 2" });
    expect(stlm.choices).toHaveLength(4);
  });
});

describe("items", () => {
  const row = { sentence_good: "a", sentence_bad: "b", UID: "u" };

  test("have an id of their text: the same under both protocols, another for a second occurrence", () => {
    const questions = [row, row, { ...row, UID: "v" }].map(benchmarks.blimp.question);
    const [harness, stlm] = protocolNames.map((p) => makeItems("blimp", questions, p).map(({ id }) => id));
    expect(stlm).toEqual(harness);
    expect(new Set(harness).size).toBe(3);
    for (const id of harness!) expect(id).toMatch(/^[0-9a-f]{16}$/);
  });

  test("that stand alone are their own cluster", () => {
    const arc = { question: "Why?", choices: { text: ["p", "q"], label: ["A", "B"] }, answerKey: "A" };
    const [item] = makeItems("arc-easy", [benchmarks["arc-easy"].question(arc)], "harness");
    expect(item!.cluster).toBe(item!.id);
  });

  test("of the bundled subsets all parse, with distinct ids", () => {
    for (const [name, file] of Object.entries(bundled) as [keyof typeof bundled, string][]) {
      const items = makeItems(name, bundledRows(file).map(benchmarks[name].question), "harness");
      expect(new Set(items.map(({ id }) => id)).size, name).toBe(items.length);
      for (const item of items) expect(item.choices[item.gold], name).toBeDefined();
    }
  });
});

test("the bundled BLiMP holds a hundred pairs of two different sentences for each of the 67 paradigms", () => {
  const rows = bundledRows("blimp-6700");
  const paradigms = new Map<unknown, unknown[]>();
  for (const row of rows) paradigms.set(row["UID"], [...(paradigms.get(row["UID"]) ?? []), row]);
  expect([...paradigms.keys()].sort()).toEqual([...blimpParadigms]);
  expect([...paradigms.values()].every((pairs) => pairs.length === 100)).toBe(true);
  expect(rows.filter((row) => row["sentence_good"] === row["sentence_bad"])).toEqual([]);
});

describe("golden requests", () => {
  const encoders = { gpt2: gpt2Encoder, bytes: bytesEncoder };

  test.each(Object.entries(bundled) as [keyof typeof bundled, string][])("of %s", async (name, file) => {
    const lines: string[] = [];
    for (const protocol of protocolNames) {
      const questions = bundledRows(file).slice(0, 2).map(benchmarks[name].question);
      for (const item of makeItems(name, questions, protocol)) {
        lines.push(`${protocol}  item ${item.id}  subtask "${item.subtask}"  gold ${item.gold}`);
        for (const choice of item.choices) {
          lines.push(`  ${JSON.stringify(choice.context)} -> ${JSON.stringify(choice.continuation)}`);
          for (const [encoderName, tokenizer] of Object.entries(encoders)) {
            const { windows } = buildRequest(choice, { tokenizer, contextWindow: 64, protocol });
            for (const { ids, scored } of windows) {
              const seen = spell(tokenizer, ids.slice(0, ids.length - scored));
              const judged = spell(tokenizer, ids.slice(ids.length - scored));
              lines.push(`    ${encoderName} ${ids.length - scored}+${scored}: ${JSON.stringify([seen, judged])}`);
              if (encoderName === "gpt2") lines.push(`      [${ids.slice(ids.length - scored).join(" ")}]`);
            }
          }
        }
      }
    }
    await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot(`../golden/eval/${name}.txt`);
  });

  test("exist for every benchmark, ARC-Challenge sharing ARC-Easy's code", () => {
    expect(benchmarkNames.filter((name) => !(name in bundled))).toEqual(["arc-challenge"]);
  });
});
