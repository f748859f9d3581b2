import { expect, test } from "vitest";
import { compare } from "../../src/report/comparison.ts";
import { ReportDatabase } from "../../src/report/db.ts";
import { readRuns } from "../../src/report/inputs.ts";
import { loadRuns } from "../../src/report/load.ts";
import { arm, claim, SyntheticLab, type SyntheticRun } from "./synthetic-lab.ts";

type Inputs = Awaited<ReturnType<SyntheticLab["inputs"]>>;

async function evidenceOf(
  runs: readonly SyntheticRun[],
  hypothesis = claim("a", "b"),
  change: (inputs: Inputs) => Partial<Inputs> = () => ({}),
) {
  using lab = new SyntheticLab();
  const database = await ReportDatabase.open();
  try {
    const inputs = await lab.inputs(runs);
    const read = readRuns({ ...inputs, ...change(inputs) });
    await loadRuns(database, read);
    return await compare(database, read, hypothesis, 200);
  } finally {
    database.close();
  }
}

const A = arm("a", 1.6, [0, 0.01]);
const B = arm("b", 1.7, [0, 0.02], { blimp: 0.6 });

test("runs are paired by seed, whatever their order", async () => {
  const evidence = await evidenceOf([...A, ...B.toReversed()]);
  expect(evidence).toMatchObject({ kind: "measured", unpaired: 0, clusters: 50, resolution: 0 });
  if (evidence.kind !== "measured") return;
  expect(evidence.pairs.map(({ label }) => label)).toEqual(["seed 1", "seed 2"]);
  expect(evidence.pairs[0]!.difference).toBeCloseTo(-0.1, 2);
  expect(evidence.pairs[1]!.difference).toBeCloseTo(-0.11, 2);
});

test("accuracies count in whole items, cluster by paradigm, and tell the discordant ones", async () => {
  const evidence = await evidenceOf([...A, ...B], claim("a", "b", { metric: "blimp" }));
  expect(evidence).toMatchObject({ kind: "measured", clusters: 40, resolution: expect.closeTo(100 / 40 / 3, 9) });
  if (evidence.kind !== "measured") return;
  const { difference, discordant } = evidence.pairs[0]!;
  // All items are at least as hard for the arm whose share of right answers is lower.
  expect(discordant).toMatchObject({ treatment: 0 });
  expect(discordant!.control).toBeGreaterThan(0);
  expect(-difference).toBeGreaterThanOrEqual((100 * discordant!.control) / 40 / 7);
  expect(-difference).toBeLessThanOrEqual((100 * discordant!.control) / 40 / 3);
});

test("a run whose seed the other arm lacks is left out and counted", async () => {
  const evidence = await evidenceOf([...arm("a", 1.6, [0, 0.01, 0.02]), ...B]);
  expect(evidence).toMatchObject({ kind: "measured", unpaired: 1, pairs: { length: 2 } });
});

test("what was not run is said: an arm without runs, a metric that nobody measured", async () => {
  expect(await evidenceOf(A)).toMatchObject({ kind: "not-run", reason: "no evaluated run has model=b" });
  expect(await evidenceOf([...A, ...B], claim("a", "b", { metric: "mmlu" }))).toMatchObject({
    kind: "not-run",
    reason: "a (seed 1) has no mmlu",
  });
});

test("what cannot be compared as registered is invalid, with its reason", async () => {
  const invalid = (reason: string) => ({ kind: "invalid", reason: expect.stringContaining(reason) });
  const elsewhere = B.map((run, index) => ({ ...run, matrix: { model: "b", seed: index + 7 } }));
  expect(await evidenceOf([...A, ...elsewhere])).toMatchObject(invalid("share no seed"));
  expect(await evidenceOf([...A, ...B.map((run) => ({ ...run, documents: 40 }))])).toMatchObject(
    invalid("not scored on the same items"),
  );
  expect(await evidenceOf([...A, B[0]!, { ...B[1]!, diverged: true }])).toMatchObject(invalid("b (seed 2) diverged"));
  const twins = ({ runs }: Inputs) => ({
    runs: runs.map((run, i) => (i === 1 ? { ...run, digest: runs[0]!.digest } : run)),
  });
  expect(await evidenceOf([...A, ...B], claim("a", "b"), twins)).toMatchObject(invalid("same bytes as another seed"));
});

test("the bootstrap is seeded by the claim and its artifacts", async () => {
  const first = await evidenceOf([...A, ...B]);
  expect(await evidenceOf([...A, ...B])).toEqual(first);
  const renamed = await evidenceOf([...A, ...B], claim("a", "b", { name: "other" }));
  expect(renamed).not.toEqual(first);
});
