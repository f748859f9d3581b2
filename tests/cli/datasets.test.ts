import { expect, test } from "vitest";
import { datasets as command } from "../../src/cli/commands/datasets.ts";
import { cardOf } from "../../src/data/datasets/card.ts";
import { datasetNames, datasets } from "../../src/data/datasets/index.ts";
import { writePin } from "../../src/data/download/pins.ts";
import { digestBytes } from "../../src/util/digest.ts";
import { printedBy } from "../rigs/printed.ts";
import { temporaryFolder } from "../rigs/stage-rig.ts";

function run(action?: string, name?: string, more: { json?: boolean; directory?: string } = {}): Promise<string> {
  return printedBy(() => command(action, name, { json: false, directory: temporaryFolder("lab"), ...more }));
}

test("the list has every data set with size, licence, language and by what its bytes are known", async () => {
  const lines = (await run()).split("\n");
  for (const name of datasetNames) {
    const line = lines.find((text) => text.startsWith(`${name} `));
    expect(line, name).toContain(datasets[name].license);
    expect(line, name).toContain(datasets[name].size);
  }
  expect(lines.find((line) => line.startsWith("openwebtext"))).toMatch(
    /7 of 80 digests, revision +the network {2}CC0-1.0$/,
  );
  expect(lines.find((line) => line.startsWith("bundled-stories"))).toMatch(
    /every digest +the package {2}LicenseRef-public-domain-US$/,
  );
  const json = JSON.parse(await run(undefined, undefined, { json: true }));
  expect(json.map((card: { name: string }) => card.name)).toEqual(datasetNames);
});

test("a data card tells all that is known, and with --json every file", async () => {
  const text = await run("show", "simple-wikipedia");
  for (const fact of [
    "CC-BY-SA-3.0",
    "id, url, title, text",
    '{"template":"{text}"}',
    "b04c8d1ceb2f5cd4588862100d08de323dccfbaa",
    "31bded16768a47c286becd292079122f5d7d4397a17b87d4250a00ccd581e6f0",
    "params: { corpus: { dataset: simple-wikipedia } }",
    "<data-dir>/simple-wikipedia/20231101.simple/train-00000-of-00001.parquet",
  ]) {
    expect(text).toContain(fact);
  }
  expect(await run("show", "openwebtext")).toContain("... and 74 more files");
  const card = JSON.parse(await run("show", "openwebtext", { json: true }));
  expect(card).toEqual(JSON.parse(JSON.stringify(cardOf(datasets.openwebtext))));
  expect(card.files).toHaveLength(80);
});

test("a name that is no data set is answered with the nearest one, and an action that is none with what to say", async () => {
  await expect(run("show", "opnwebtext")).rejects.toMatchObject({
    code: "UNKNOWN_DATASET",
    exitCode: 2,
    message: expect.stringContaining('Did you mean "openwebtext"?'),
  });
  await expect(run("show", "toString")).rejects.toMatchObject({ code: "UNKNOWN_DATASET" });
  await expect(run("mmlu")).rejects.toMatchObject({ hint: expect.stringContaining("datasets show mmlu"), exitCode: 2 });
  await expect(run("show")).rejects.toMatchObject({ code: "USAGE" });
});

test("what was pinned on first use in this lab is shown, files that only the hub names included", async () => {
  const directory = temporaryFolder("lab");
  const digest = digestBytes("as it came");
  const { source } = datasets.winogrande.files[0]!;
  writePin(directory, source.kind === "url" ? source.urls[0]! : "", digest);
  expect(await run("show", "winogrande")).toContain("pinned on first use");
  expect(await run("show", "winogrande", { directory })).toContain(`${digest} as this lab first got it`);

  const address = "https://huggingface.co/datasets/jtatman/python-code-dataset-500k/resolve/main/data/a%20b.parquet";
  writePin(directory, address, digest);
  const card = await run("show", "python-code-500k", { directory });
  expect(card).toContain(`main/data/a b.parquet  size unknown, ${digest} as this lab first got it\n  from ${address}`);
});
