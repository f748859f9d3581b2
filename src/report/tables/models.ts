// Table 1: what each model is. The columns follow table 1 of Hillier et al. 2024.

import { defineTable } from "../table.ts";

const setting = (name: string, type: string) => `first(model->>'${name}' ORDER BY training)::${type}`;

export default defineTable({
  name: "models",
  title: "Table 1: models",
  caption:
    "Sizes and choices of each model. Parameters are counted exactly, embedding included; heads are query / key-value.",
  sql: `SELECT arm, ${setting("numLayers", "INTEGER")} AS layers, ${setting("hiddenDim", "INTEGER")} AS hidden,
               ${setting("numHeads", "VARCHAR")} || ' / ' || ${setting("numKvHeads", "VARCHAR")} AS heads,
               ${setting("ffn", "VARCHAR")} AS ffn, ${setting("ffnDim", "INTEGER")} AS ffnDim,
               ${setting("positions", "VARCHAR")} AS positions, ${setting("norm", "VARCHAR")} AS norm,
               ${setting("tied", "BOOLEAN")} AS tied, ${setting("bias", "BOOLEAN")} AS bias,
               ${setting("dropout", "DOUBLE")} AS dropout, ${setting("contextWindow", "INTEGER")} AS contextWindow,
               ${setting("vocabSize", "INTEGER")} AS vocabSize, first(parameters ORDER BY training) AS parameters,
               list(digest ORDER BY training) AS digests
        FROM trainings JOIN arms USING (arm) GROUP BY arm, position ORDER BY position`,
  key: ["arm"],
  columns: {
    arm: { label: "Model" },
    layers: { label: "Layers" },
    hidden: { label: "Hidden" },
    heads: { label: "Heads" },
    ffn: { label: "Feed-forward" },
    ffnDim: { label: "Width" },
    positions: { label: "Positions" },
    norm: { label: "Norm" },
    tied: { label: "Tied" },
    bias: { label: "Bias" },
    dropout: { label: "Dropout", digits: 2 },
    contextWindow: { label: "Context" },
    vocabSize: { label: "Vocabulary" },
    parameters: { label: "Parameters" },
    digests: { label: "Models' hashes", as: "digest" },
  },
});
