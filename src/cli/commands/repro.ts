// `repro`: bring everything up to date and publish the reports.

import type { Outcome } from "../../pipeline/events.ts";
import { type RunResult, runPipeline } from "../../pipeline/executor.ts";
import { type Lab, type LabOptions, openLab } from "../lab.ts";
import { columns, EXIT, print, printJson } from "../output.ts";
import { countStages, type DeviceChoice, devicesFor, planLab, planRows, planSummary } from "../planning.ts";
import { Renderer, summarise } from "../renderer.ts";
import { warningOfReference } from "../slow-device.ts";

export interface ReproOptions extends LabOptions {
  readonly dryRun: boolean;
  readonly force: boolean;
  readonly jobs?: number;
  readonly keepGoing: boolean;
  readonly device: DeviceChoice;
  readonly dataDir?: string;
}

export async function repro(targets: readonly string[], options: ReproOptions): Promise<number> {
  const lab = await openLab(options);
  if (options.dryRun) return dryRun(lab, targets, options);
  return runLab(lab, targets, options);
}

async function dryRun(lab: Lab, targets: readonly string[], options: ReproOptions): Promise<number> {
  const plan = await planLab(lab, { device: options.device, force: options.force, targets });
  if (options.json) printJson({ profile: lab.pipeline.profile, stages: planRows(plan) });
  else {
    print(columns(planRows(plan).map(({ state, id, reason }) => [state, id, reason])));
    print(planSummary(plan));
  }
  return EXIT.done;
}

/** Runs the targets with live progress on standard error; the result goes to standard output. */
export async function runLab(lab: Lab, targets: readonly string[], options: ReproOptions): Promise<number> {
  const startedAt = performance.now();
  const live = process.stderr.isTTY === true && process.env["TERM"] !== "dumb";
  const renderer = new Renderer({
    write: (text) => process.stderr.write(text),
    live,
    width: process.stderr.columns ?? 100,
    now: () => performance.now(),
  });
  const stop = new AbortController();
  const onSignal = () => {
    if (!stop.signal.aborted) process.stderr.write("Stopping: running stages save what they have.\n");
    stop.abort();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  let result: RunResult;
  try {
    result = await runPipeline({
      ...lab,
      ...devicesFor(options.device),
      force: options.force,
      targets,
      jobs: options.jobs,
      keepGoing: options.keepGoing,
      dataDir: options.dataDir ?? process.env["STLM_DATA_DIR"],
      signal: stop.signal,
      onEvent: warningOfReference(lab.pipeline, options.device, renderer.onEvent),
    });
  } finally {
    renderer.close();
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
  const outcomes = [...result.outcomes.values()];
  const seconds = (performance.now() - startedAt) / 1000;
  if (options.json) printJson(asJson(lab, result, outcomes));
  else print(closingText(result, outcomes, seconds));
  return result.failed || result.interrupted ? EXIT.stageFailed : EXIT.done;
}

function asJson(lab: Lab, result: RunResult, outcomes: readonly Outcome[]) {
  return {
    profile: lab.pipeline.profile,
    interrupted: result.interrupted,
    published: result.published,
    stages: outcomes.map(({ type, ...rest }) => ({ ...rest, state: type })),
  };
}

function closingText(result: RunResult, outcomes: readonly Outcome[], seconds: number): string {
  const lines = [`${countStages(outcomes.length)}: ${summarise(outcomes)} in ${seconds.toFixed(1)} s.`];
  lines.push(...result.published.map((folder) => `Wrote ${folder}.`));
  if (result.interrupted)
    lines.push("Interrupted. Run the same command again to continue: nothing finished is run twice.");
  else if (result.failed) lines.push("Some stages failed. Mend the cause and run the same command again to continue.");
  return lines.join("\n");
}
