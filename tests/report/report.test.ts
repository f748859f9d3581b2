import { expect, test } from "vitest";
import { buildReport } from "../../src/report/report.ts";
import { isDigest } from "../../src/util/digest.ts";
import { arm, claim, SyntheticLab } from "./synthetic-lab.ts";

const options = { title: "Report", hypotheses: [], resamples: 400 };
const golden = (name: string) => `../golden/report/${name}`;

const MODELS = [
  ...arm("baseline", 1.6, [0.004, -0.003], { blimp: 0.66 }),
  ...arm("learned", 1.75, [0.0035, -0.0032], { blimp: 0.62 }),
  ...arm("sincos", 1.603, [0.001, 0.006], { blimp: 0.65 }),
];
const CLAIMS = [
  claim("baseline", "learned"),
  claim("baseline", "sincos"),
  claim("baseline", "missing"),
  claim("learned", "baseline", { name: "learned-beats-baseline" }),
  claim("baseline", "learned", { name: "lifts-blimp", metric: "blimp", direction: "higher", smallestEffect: 1 }),
];

test("a report of three models, two seeds and five claims reads as its golden text", async () => {
  using lab = new SyntheticLab();
  const files = await buildReport(await lab.inputs(MODELS), { ...options, hypotheses: CLAIMS });
  expect([...files.keys()]).toEqual(["README.md", "figures/perplexity.svg", "figures/final.svg", "results.json"]);
  await expect(files.get("README.md")).toMatchFileSnapshot(golden("README.md"));
  await expect(files.get("results.json")).toMatchFileSnapshot(golden("results.json"));
  await expect(files.get("figures/perplexity.svg")).toMatchFileSnapshot(golden("perplexity.svg"));
  await expect(files.get("figures/final.svg")).toMatchFileSnapshot(golden("final.svg"));
});

test("the same artifacts give the same bytes, also from another folder", async () => {
  using first = new SyntheticLab();
  using second = new SyntheticLab();
  const all = { ...options, hypotheses: CLAIMS };
  const once = await buildReport(await first.inputs(MODELS), all);
  expect(await buildReport(await first.inputs(MODELS), all)).toEqual(once);
  expect(await buildReport(await second.inputs(MODELS), all)).toEqual(once);
});

test("without any input the report says so, and keeps its negative results", async () => {
  const files = await buildReport(
    { runs: [], controls: [], curves: [] },
    { ...options, hypotheses: [claim("a", "b")] },
  );
  await expect(files.get("README.md")).toMatchFileSnapshot(golden("empty.md"));
  expect(files.get("README.md")).toContain("No training run was given to this report.");
  expect(files.get("README.md")).toContain("`a-beats-b` is not-run: no evaluated run has model=a.");
});

test("one seed has no standard error, in no table and no sentence, and no claim is decided on it", async () => {
  using lab = new SyntheticLab();
  const runs = [...arm("baseline", 1.6, [0]), ...arm("learned", 1.9, [0])];
  const files = await buildReport(await lab.inputs(runs), { ...options, hypotheses: [claim("baseline", "learned")] });
  const readme = files.get("README.md")!;
  await expect(readme).toMatchFileSnapshot(golden("one-seed.md"));
  expect(readme).not.toMatch(/± 0/);
  expect(readme).toContain("No ± for baseline and learned: with 1 run the spread between seeds is unknown.");
  expect(readme).toContain("is inconclusive: one seed cannot tell a recipe from luck.");
  expect(readme).toContain("for `baseline-beats-learned` a second seed, to see any spread at all.");
  const { cells } = JSON.parse(files.get("results.json")!);
  const cell = cells.find(({ id }: { id: string }) => id === "results/baseline/val_bits_per_byte");
  expect(cell).not.toHaveProperty("se");
});

test("a diverged run is a result: listed, left out of the mean, and it makes its claims invalid", async () => {
  using lab = new SyntheticLab();
  const [first, second] = arm("wild", 1.7, [0, 0.01]);
  const inputs = await lab.inputs([...arm("baseline", 1.6, [0, 0.01]), first!, { ...second!, diverged: true }]);
  const readme = (await buildReport(inputs, { ...options, hypotheses: [claim("wild", "baseline")] })).get("README.md")!;
  expect(readme).toContain("`wild-beats-baseline` is invalid: wild (seed 2) diverged.");
  expect(readme).toMatch(
    /- wild \(seed 2\) diverged after 120 steps and 245,760 tokens: loss rose above 12 \(`[0-9a-f]{12}`\)/,
  );
  expect(readme).toMatch(/\| wild +\| +1,262,720 \| 1 of 2 +\| +1\.\d{4} \|/);
});

test("a mean rests on the evaluation of each seed, in full digests", async () => {
  using lab = new SyntheticLab();
  const inputs = await lab.inputs(arm("baseline", 1.6, [0, 0.01, 0.02]));
  const { cells } = JSON.parse((await buildReport(inputs, options)).get("results.json")!);
  const ids = cells.map(({ id }: { id: string }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const cell = cells.find(({ id }: { id: string }) => id === "results/baseline/val_bits_per_byte");
  expect(cell.digests).toEqual(inputs.runs.map(({ digest }) => digest));
  for (const { id, digests } of cells) {
    if (!id.startsWith("published/") && !id.includes("/chance/")) expect(digests, id).not.toHaveLength(0);
    for (const digest of digests) expect(isDigest(digest), id).toBe(true);
  }
});

test("a best value is bold only where its interval excludes those of all other models", async () => {
  using lab = new SyntheticLab();
  const spread = [0.0001, 0, -0.0001, 0.0001, -0.0001];
  const clear = [...arm("good", 1.2, spread), ...arm("bad", 2.2, spread)];
  const readme = (await buildReport(await lab.inputs(clear), options)).get("README.md")!;
  expect(readme).toMatch(/\| good .*\*\*1\.\d{4} ± \d\.\d{4}\*\*/);
  using noisy = new SyntheticLab();
  const unclear = [...arm("good", 1.2, [0, 0.4]), ...arm("bad", 1.3, [0.4, 0])];
  const other = (await buildReport(await noisy.inputs(unclear), options)).get("README.md")!;
  expect(other).not.toMatch(/\*\*1\.\d{4} ±/);
  expect(other).toContain("so the order may be noise");
});

test("a benchmark on which the models do not leave chance is called out, and one that is left is not", async () => {
  using lab = new SyntheticLab();
  const readme = (
    await buildReport(await lab.inputs(arm("baseline", 1.6, [0, 0.01, 0.02], { blimp: 0.8 })), options)
  ).get("README.md")!;
  expect(readme).toContain("**Not told from guessing: HellaSwag.**");
  expect(readme).toMatch(
    /The mean of all runs lies above chance on BLiMP \(\d\d\.\d ± \d\.\d against 50\.0, adjusted p [<=] 0\.\d{3}\)\. Not told from guessing: HellaSwag\./,
  );
});

test("several matrix axes name an arm, and runs are paired by every axis that the claim leaves open", async () => {
  using lab = new SyntheticLab();
  const runs = ["baseline", "learned"].flatMap((model) =>
    ["5m", "10m"].flatMap((size) =>
      [1, 2].map((seed) => ({ matrix: { model, size, seed }, bits: (model === "baseline" ? 1.5 : 1.8) + seed / 1000 })),
    ),
  );
  const readme = (
    await buildReport(await lab.inputs(runs), { ...options, hypotheses: [claim("baseline", "learned")] })
  ).get("README.md")!;
  expect(readme).toContain("model=baseline, size=10m");
  expect(readme).toContain("size=5m, seed 2");
  expect(readme).toContain("**supported**");
});

test("figures whose rows give another number than the evaluation stated are refused", async () => {
  using lab = new SyntheticLab();
  const inputs = await lab.inputs(arm("baseline", 1.6, [0]));
  const { writeFileSync, readFileSync } = await import("node:fs");
  const file = inputs.runs[0]!.path("metrics.json");
  const metrics = JSON.parse(readFileSync(file, "utf8"));
  metrics.validation.bitsPerByte += 0.001;
  writeFileSync(file, JSON.stringify(metrics));
  await expect(buildReport(inputs, options)).rejects.toMatchObject({ code: "EVALUATION_DISAGREES", exitCode: 3 });
});

test("a missing file and two runs of one seed are named", async () => {
  using lab = new SyntheticLab();
  const inputs = await lab.inputs(arm("baseline", 1.6, [0]));
  const absent = { ...inputs.runs[0]!, path: (...parts: string[]) => ["absent", ...parts].join("/") };
  await expect(buildReport({ ...inputs, runs: [absent] }, options)).rejects.toMatchObject({
    code: "REPORT_INPUT_UNREADABLE",
    where: { file: "absent/metrics.json" },
  });
  await expect(buildReport({ ...inputs, runs: [...inputs.runs, ...inputs.runs] }, options)).rejects.toMatchObject({
    code: "DUPLICATE_RUN",
  });
});

test("evaluations under two protocols are refused, controls included", async () => {
  using lab = new SyntheticLab();
  const [first, second] = arm("baseline", 1.6, [0, 0.01]);
  await expect(
    buildReport(await lab.inputs([first!, { ...second!, protocol: "stlm" }]), options),
  ).rejects.toMatchObject({
    code: "MIXED_PROTOCOLS",
    message: expect.stringMatching(/"harness" \(.+\) and "stlm" \(evaluate\[model=baseline,seed=2\]\)/),
  });
});

test("table 2 names its protocol, sizes, ties and remarks on the data, and every run has both readings of a tie", async () => {
  using lab = new SyntheticLab();
  const note = "15 of 60 rows without their activity label.";
  const inputs = await lab.inputs(arm("baseline", 1.6, [0, 0.01], { blimp: 0.6, ties: 9, note }));
  const files = await buildReport(inputs, options);
  const readme = files.get("README.md")!;
  expect(readme).toContain("under the protocol `harness`: BLiMP (200 items) and HellaSwag (60 items).");
  expect(readme.split(`- HellaSwag: ${note}`)).toHaveLength(2);
  expect(readme).toContain("Ties among the models' answers: 18 of 400 on BLiMP.");
  expect(readme).toContain("| BLiMP `acc` |");
  expect(readme).not.toContain("HellaSwag `acc`");
  const { cells } = JSON.parse(files.get("results.json")!);
  const value = (id: string) => cells.find((cell: { id: string }) => cell.id === id).value;
  expect(value("runs/baseline/1/blimp_first")).toBeGreaterThan(value("runs/baseline/1/blimp"));
});

test("two seeds that decide nothing say how many would", async () => {
  using lab = new SyntheticLab();
  const runs = [...arm("a", 1.6, [0.03, -0.03]), ...arm("b", 1.65, [-0.01, 0.03])];
  const files = await buildReport(await lab.inputs(runs), { ...options, hypotheses: [claim("a", "b")] });
  expect(files.get("README.md")).toMatch(/What it would take: .+ for `a-beats-b` about \d+ pairs of runs \(2 now\)\./);
  expect(JSON.parse(files.get("results.json")!).claims[0].pairsNeeded).toBeGreaterThan(2);
});
