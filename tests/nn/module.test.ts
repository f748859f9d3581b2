import { expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { Module } from "../../src/nn/module.ts";
import { constant, normal, parameterStream } from "../../src/tensor/random.ts";
import { Parameter } from "../../src/tensor/tensor.ts";

class Leaf extends Module {
  readonly weight = new Parameter([2, 3], normal(1));
  readonly table = new Parameter([4], constant(5), false);
}

class Tree extends Module {
  readonly leaves = [new Leaf(), new Leaf()];
  readonly shared = this.leaves[0]!.weight;
  readonly size = 3;
}

test("parameters are named by their place, shared ones once, computed tables not at all", () => {
  const tree = new Tree();
  expect(tree.parameters().map(([name]) => name)).toEqual(["leaves.0.weight", "leaves.1.weight"]);
  expect(tree.countParameters()).toBe(12);
});

test("allocation fills every parameter by seed and name, and computed tables always", () => {
  const backend = createReferenceBackend();
  const values = (seed?: number) => {
    const tree = new Tree();
    tree.allocate(backend, seed === undefined ? {} : { seed });
    const read = (parameter: Parameter) => [...backend.read(parameter.value)];
    return {
      first: read(tree.leaves[0]!.weight),
      second: read(tree.leaves[1]!.weight),
      table: read(tree.leaves[1]!.table),
    };
  };
  const { first, second, table } = values(1);
  expect(first).not.toEqual(second);
  expect(values(1)).toEqual({ first, second, table });
  expect(values(2).first).not.toEqual(first);
  expect(values()).toEqual({ first: [0, 0, 0, 0, 0, 0], second: [0, 0, 0, 0, 0, 0], table: [5, 5, 5, 5] });
});

test("gradient buffers are there for trainable parameters when asked for", () => {
  const tree = new Tree();
  tree.allocate(createReferenceBackend(), { seed: 1, gradients: true });
  expect(tree.leaves[0]!.weight.gradient?.length).toBe(6);
  expect(tree.leaves[0]!.table.gradient).toBeUndefined();
});

test("a parameter that has no memory yet says so", () => {
  expect(() => new Leaf().weight.value).toThrow("used before its module was allocated");
});

test("two names that would start with the same numbers are refused", () => {
  const names = new Map<number, string>();
  let pair: readonly [string, string] | undefined;
  for (let i = 0; pair === undefined; i++) {
    const other = names.get(parameterStream(`p${i}`));
    if (other !== undefined) pair = [other, `p${i}`];
    names.set(parameterStream(`p${i}`), `p${i}`);
  }
  class Twins extends Module {}
  const twins = Object.assign(
    new Twins(),
    Object.fromEntries(pair.map((name) => [name, new Parameter([2], normal(1))])),
  );
  const [first, second] = pair;
  expect(() => twins.allocate(createReferenceBackend(), { seed: 1 })).toThrow(
    `parameters ${first} and ${second} share a random stream`,
  );
});
