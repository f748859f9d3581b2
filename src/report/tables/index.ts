// Every table of the report. To add one: a file here, a line below, and its place in report.ts.

import arms from "./arms.ts";
import contamination from "./contamination.ts";
import corpus from "./corpus.ts";
import cost from "./cost.ts";
import guessing from "./guessing.ts";
import hypotheses from "./hypotheses.ts";
import models from "./models.ts";
import pairs from "./pairs.ts";
import published from "./published.ts";
import results from "./results.ts";
import runs from "./runs.ts";
import training from "./training.ts";

export const tables = {
  models,
  training,
  corpus,
  contamination,
  results,
  guessing,
  published,
  hypotheses,
  pairs,
  runs,
  arms,
  cost,
};
