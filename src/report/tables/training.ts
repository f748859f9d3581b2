// The second half of the paper's table 1: how the models were trained, one row per value of each setting.

import { defineTable } from "../table.ts";

export default defineTable({
  name: "training",
  title: "Training",
  caption: "Settings of the training stage as recorded with the weights, whose hashes stand in table 1.",
  sql: `WITH flat AS (SELECT DISTINCT arm, position, key, settings->>key AS setting
                      FROM (SELECT arm, settings, unnest(json_keys(settings)) AS key FROM trainings) JOIN arms USING (arm)),
             grouped AS (SELECT key, setting, list(arm ORDER BY position) AS members, min(position) AS position
                         FROM flat GROUP BY key, setting)
        SELECT key, setting, CASE WHEN len(members) = (SELECT count(DISTINCT arm) FROM trainings) THEN 'all'
                                  ELSE array_to_string(members, ', ') END AS arms
        FROM grouped ORDER BY key, position, setting`,
  key: ["key", "setting"],
  columns: {
    key: { label: "Setting", as: "code" },
    setting: { label: "Value" },
    arms: { label: "Models" },
  },
});
