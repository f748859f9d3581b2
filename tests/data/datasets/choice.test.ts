import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { datasetChoiceSchema, expandChoice, passedOver } from "../../../src/data/datasets/choice.ts";
import { temporaryFolder } from "../../rigs/stage-rig.ts";

const expand = (choice: unknown, root = "/") => expandChoice(datasetChoiceSchema.parse(choice), root);

test.each([["bundled-storys"], [["bundled-chat", "bundled-storys"]], [{ name: "bundled-storys", files: 1 }]])(
  "an unknown name in %j is answered with the names and a suggestion",
  (choice) => {
    const { error } = datasetChoiceSchema.safeParse(choice);
    expect(error!.issues).toHaveLength(1);
    expect(error!.issues[0]!.message).toMatch(/"bundled-storys" is no data set\. Did you mean "bundled-stories"\?/);
    expect(error!.issues[0]!.message).toContain("simple-wikipedia");
  },
);

test("the first files of a large set can be taken alone", () => {
  const { files } = expand({ name: "openwebtext", files: 2 });
  expect(files.map((file) => file.path)).toEqual([
    "plain_text/train-00000-of-00080.parquet",
    "plain_text/train-00001-of-00080.parquet",
  ]);
});

describe("a folder of the user's own", () => {
  const root = temporaryFolder("lab");
  mkdirSync(path.join(root, "texts/deep"), { recursive: true });
  for (const name of ["b.txt", "a.md", "deep/c.jsonl.gz", ".hidden.txt", "picture.png"]) {
    writeFileSync(path.join(root, "texts", name), "x");
  }

  test("is read whole in the order of the names, without hidden and foreign files", () => {
    const { files, name, text } = expand({ path: "texts", separator: "\n\n" }, root);
    expect(name).toBe("texts");
    expect(text).toEqual({ template: "{text}", separator: "\n\n" });
    expect(files.map(({ path: file, format }) => `${file} ${format}`)).toEqual([
      "a.md txt",
      "b.txt txt",
      "deep/c.jsonl.gz jsonl.gz",
    ]);
  });

  test("says what it passes over", () => {
    symlinkSync(root, path.join(root, "texts", "linked"));
    const over = (choice: unknown) => passedOver(datasetChoiceSchema.parse(choice), root);
    expect(over({ path: "texts" })).toEqual([
      "texts/linked is a link to a folder and is not read.",
      expect.stringMatching(/^texts\/picture\.png: not read, for readable are .*\.md/),
    ]);
    expect(over({ path: "texts", format: "txt" })).toHaveLength(1);
    expect(over(["bundled-stories", { path: "texts/a.md" }])).toEqual([]);
  });

  test("may be a single file of a said format", () => {
    const { files } = expand({ path: "./texts/picture.png", format: "txt", name: "odd" }, root);
    expect(files).toMatchObject([{ path: "picture.png", format: "txt" }]);
  });

  test("must exist and hold something", () => {
    expect(() => expand({ path: "nowhere" }, root)).toThrow("There is no file or folder nowhere.");
    expect(() => expand({ path: "texts/picture.png" }, root)).toThrow("holds no file that can be read as text");
  });
});

test("a URL takes a digest with or without its prefix, and its format from the name", () => {
  const hex = "ab".repeat(32);
  for (const sha256 of [hex, `sha256:${hex}`, hex.toUpperCase()]) {
    expect(expand({ url: "https://example.org/a/tales.jsonl.gz?download=1", sha256 }).files).toMatchObject([
      { path: "tales.jsonl.gz", format: "jsonl.gz", sha256: `sha256:${hex}` },
    ]);
  }
  const urls = ["https://example.org/a.txt", "https://example.net/a.txt", "http://example.com/b"];
  expect(expand({ url: urls[0], mirrors: urls.slice(1) }).files).toMatchObject([{ path: "a.txt", source: { urls } }]);
  expect(() => expand({ url: "https://example.org/tales" })).toThrow("The format of https://example.org/tales cannot");
  expect(datasetChoiceSchema.safeParse({ url: "file:///etc/passwd" }).success).toBe(false);
  expect(datasetChoiceSchema.safeParse({ url: "https://me:pa55word@example.org/a.txt" }).success).toBe(false);
  expect(datasetChoiceSchema.safeParse({ url: "https://example.org/a.txt", sha256: "12" }).success).toBe(false);
});

test("the file of a URL never leaves its folder, however the name is escaped", () => {
  const fileOf = (last: string) => expand({ url: `https://example.org/a/${last}`, format: "txt" }).files[0]!.path;
  expect(fileOf("two%20words.txt")).toBe("two words.txt");
  expect(fileOf("..%2F..%2Fescaped.txt")).toBe("..%2F..%2Fescaped.txt");
  expect(fileOf("%5Cx%00.txt")).toBe("%5Cx%00.txt");
  expect(fileOf("half%E0%A4.txt")).toBe("half%E0%A4.txt");
});

test("a name is a folder's too, so it is not the folder above", () => {
  const accepts = (name: string) => datasetChoiceSchema.safeParse({ path: "texts", name }).success;
  expect(["tales", "a.b", ".x", "..", ".", "a/b", ""].map(accepts)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

test.each(["texts", "{text", "{ }", ""])("the template %j, which names no column, is refused", (template) => {
  const { error } = datasetChoiceSchema.safeParse({ path: "texts", template });
  expect(error!.issues[0]!.message).toContain("a template names a column");
});

test("the sources of a mix in a list keep their names, and no two share one", () => {
  const names = (...parts: string[]) => [...new Set(expand(parts).files.map((file) => file.sourceName))];
  const four = ["simple-wikipedia", "python-code-500k", "openhermes", "tinystories"];
  expect(names("stlm-mix", "bundled-chat")).toEqual([...four, "bundled-chat"]);
  expect(names("tinystories", "stlm-mix")).toEqual(["tinystories", ...four.slice(0, 3), "tinystories-2"]);
  expect(names("stlm-mix", "tinystories")).toEqual([...four, "tinystories-2"]);
});

test("a list is a mix whose files keep their rules and never collide", () => {
  const mix = expand(["tinystories-sample", "gpteacher-chat"]);
  expect(mix.files.map((file) => [file.path, file.text?.template])).toEqual([
    ["0-tinystories-sample/train-00000-of-00001.parquet", "{text}"],
    [
      "1-gpteacher-chat/train-00000-of-00001.parquet",
      "Question: {conversations.0.value}\nAnswers: {conversations.1.value}",
    ],
  ]);
  expect(() => expand(["bundled-stories", "bundled-benchmarks"])).toThrow("cannot join texts and benchmarks");
});
