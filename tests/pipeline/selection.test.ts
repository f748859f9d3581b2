import { expect, test } from "vitest";
import type { Pipeline, StageNode } from "../../src/pipeline/node.ts";
import { selectNodes } from "../../src/pipeline/selection.ts";

function node(name: string, matrix: StageNode["matrix"], id: string): StageNode {
  const command = { command: "true", deps: [], outs: [], env: {} };
  return {
    id,
    name,
    matrix,
    params: {},
    inputs: {},
    seed: 1,
    resources: {},
    work: { kind: "command", command },
    where: {},
  };
}

const nodes = [
  node("corpus", {}, "corpus"),
  ...["a", "b"].flatMap((model) =>
    [1, 2].map((seed) => node("train", { model, seed }, `train[model=${model},seed=${seed}]`)),
  ),
];
const pipeline: Pipeline = {
  file: "pipeline.yaml",
  root: ".",
  profile: "tiny",
  nodes,
  byId: new Map(nodes.map((each) => [each.id, each])),
  hypotheses: [],
};
const idsOf = (text: string) => selectNodes(pipeline, text).map((each) => each.id);

test("a name selects all instances, brackets select by some axes or all", () => {
  expect(idsOf("corpus")).toEqual(["corpus"]);
  expect(idsOf("train")).toHaveLength(4);
  expect(idsOf("train[*]")).toHaveLength(4);
  expect(idsOf("train[model=b]")).toEqual(["train[model=b,seed=1]", "train[model=b,seed=2]"]);
  expect(idsOf("train[seed=2]")).toEqual(["train[model=a,seed=2]", "train[model=b,seed=2]"]);
  expect(idsOf("train[model=b,seed=1]")).toEqual(["train[model=b,seed=1]"]);
});

test("what names nothing says what there is", () => {
  expect(() => idsOf("trian")).toThrow(/There is no stage "trian"/);
  expect(() => idsOf("train[model=c]")).toThrow(/There is no stage "train\[model=c\]"/);
  expect(() => idsOf("train[")).toThrow(/does not name/);
});
