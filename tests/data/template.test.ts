import { expect, test } from "vitest";
import { compileTemplate } from "../../src/data/template.ts";

const chat = { conversations: [{ value: "Why?" }, { value: "{because} $& it is" }], n: 3 };

test("paths reach into objects and lists, and what is put in is not read again", () => {
  const template = compileTemplate("Q: {conversations.0.value}\nA: {conversations.1.value} ({n})");
  expect(template.columns).toEqual(["conversations", "n"]);
  expect(template.render(chat)).toBe("Q: Why?\nA: {because} $& it is (3)");
});

test("braces that hold no path are text", () => {
  expect(compileTemplate("{} { x } {n}").render(chat)).toBe("{} { x } 3");
});

test("a missing or unfit value is named with what there is", () => {
  const render = (template: string) => () => compileTemplate(template).render(chat);
  expect(render("{txt}")).toThrow("there is no {txt}: the row has conversations, n");
  expect(render("{conversations.7.value}")).toThrow("there is no {conversations.7}: {conversations} has 0, 1");
  expect(render("{constructor}")).toThrow("there is no {constructor}");
  expect(render("{conversations.0}")).toThrow("{conversations.0} is not text");
  expect(() => compileTemplate("{a}").render({ a: null })).toThrow("{a} is null");
  expect(() => compileTemplate("{a}").render(7)).toThrow("the row has no members");
});

test("a template without a path is refused", () => {
  expect(() => compileTemplate("hello")).toThrow("names no column");
});
