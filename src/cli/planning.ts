// The plan as rows: what `status` and `repro --dry-run` print.

import { deviceClassOf, resolveDevice } from "../backend/index.ts";
import { describeReason, type Plan, type PlannedNode, type PlanOptions, planPipeline } from "../pipeline/planner.ts";
import type { Lab } from "./lab.ts";

export type DeviceChoice = "auto" | "cpu" | "cuda" | "reference";

export interface PlanRow {
  readonly id: string;
  /** `would run` and `waits` where nothing is settled. */
  readonly state: "fresh" | "cached" | "would run" | "waits";
  readonly reason: string;
}

export async function planLab(
  { pipeline, store }: Lab,
  options: { device: DeviceChoice; force?: boolean; targets?: readonly string[] },
): Promise<Plan> {
  return planPipeline({
    pipeline,
    store,
    ...devicesFor(options.device),
    force: options.force ?? false,
    targets: options.targets,
  });
}

/**
 * The device of each stage and its class: the device that was named, or, for `auto`, the GPU for what computes in bf16, where there
 * is one. The machine is looked at once for all stages. Throws a UserError where a GPU was named and cannot be used: before anything
 * runs, not when the first stage needs it.
 */
export function devicesFor(choice: DeviceChoice): Required<Pick<PlanOptions, "device" | "deviceClass">> {
  if (choice === "cuda") deviceClassOf(choice);
  return {
    device: choice === "auto" ? remembered((precision) => resolveDevice("auto", precision)) : choice,
    deviceClass: remembered((device, precision) => deviceClassOf(device, precision)),
  };
}

/** The same answers to the same questions. */
function remembered<Question extends readonly string[], Answer>(
  ask: (...question: Question) => Answer,
): (...question: Question) => Answer {
  const answers = new Map<string, Answer>();
  return (...question) => {
    const key = question.join(" ");
    const answer = answers.has(key) ? answers.get(key)! : ask(...question);
    answers.set(key, answer);
    return answer;
  };
}

export function planRows(plan: Plan): PlanRow[] {
  return plan.nodes.map((planned) => ({ id: planned.node.id, state: stateOf(planned), reason: reasonOf(planned) }));
}

/** `12 stages: 3 would run, 4 wait for them, 5 fresh` */
export function planSummary(plan: Plan): string {
  const states = plan.nodes.map(stateOf);
  const count = (state: PlanRow["state"]) => states.filter((other) => other === state).length;
  const parts = [
    [count("would run"), "would run"],
    [count("waits"), "wait for those"],
    [count("cached"), "cached"],
    [count("fresh"), "fresh"],
  ] as const;
  const text = parts.filter(([number]) => number > 0).map(([number, label]) => `${number} ${label}`);
  return `${countStages(plan.nodes.length)}: ${text.join(", ")}.`;
}

function stateOf(planned: PlannedNode): PlanRow["state"] {
  if (planned.state === "stale") return "would run";
  return planned.state === "blocked" ? "waits" : planned.state;
}

function reasonOf(planned: PlannedNode): string {
  return "reason" in planned ? describeReason(planned.reason) : "";
}

/** `1 stage`, `28 stages` */
export function countStages(count: number): string {
  return `${count} stage${count === 1 ? "" : "s"}`;
}
