// What a run writes into the lab's log: the claims it runs under, first; then each stage that ran, whatever came of it.
// A run in which nothing had to run leaves no trace.

import { RunLog } from "../store/run-log.ts";
import type { Store } from "../store/store.ts";
import { canonicalJson } from "../util/canonical-json.ts";
import type { Digest } from "../util/digest.ts";
import { packageVersion } from "../util/package-root.ts";
import type { Outcome } from "./events.ts";
import type { RunOptions } from "./executor.ts";

export class Journal {
  private constructor(
    private readonly log: RunLog,
    private readonly run: Digest,
  ) {}

  /** Registers hypotheses that the log does not know yet, then opens the run. */
  static begin(store: Store, { pipeline, device, targets, force }: RunOptions): Journal {
    const log = new RunLog(store);
    const claims = pipeline.hypotheses;
    const hypotheses = claims.length > 0 ? store.putBytes(canonicalJson(claims)) : undefined;
    if (hypotheses && !log.readAll().some(({ record }) => record["hypotheses"] === hypotheses)) {
      log.append({ kind: "registration", hypotheses, names: claims.map((claim) => claim.name) });
    }
    const { digest } = log.append({
      kind: "run",
      profile: pipeline.profile,
      device: typeof device === "string" ? device : "auto", // each stage's own record says which it was
      version: packageVersion(),
      targets: [...(targets ?? [])],
      force: force === true,
      hypotheses,
    });
    return new Journal(log, digest);
  }

  stage(outcome: Outcome): void {
    const about = { kind: "stage", run: this.run, stage: outcome.id, state: outcome.type };
    if (outcome.type === "ran") {
      const { key, outputs, durationMs, measures } = outcome;
      this.log.append({ ...about, key, outputs, durationMs, measures });
    } else if (outcome.type === "failed") {
      this.log.append({ ...about, key: outcome.key, error: outcome.error.message, code: outcome.error.code });
    }
  }

  end(outcomes: readonly Outcome[]): void {
    const counts: Record<string, number> = {};
    for (const { type } of outcomes) counts[type] = (counts[type] ?? 0) + 1;
    this.log.append({ kind: "run-end", run: this.run, ...counts });
  }
}
