// Where `--device auto` comes to the reference device, a run says so once, when the first stage that computes starts, and what
// to do. Without this a user would only see that it is slow.

import { HOW_TO_GET_A_COMPILER } from "../backend/cpu/index.ts";
import type { RunEvent } from "../pipeline/events.ts";
import { deviceOf } from "../pipeline/key.ts";
import type { Pipeline } from "../pipeline/node.ts";
import { type DeviceChoice, devicesFor } from "./planning.ts";

const WARNING = `computes on the reference device, some hundred times slower than the cpu device, for which this machine has neither a C compiler nor a prebuilt library. ${HOW_TO_GET_A_COMPILER} and run the same command again.`;

/** Passes all events on to `onEvent`, and the warning behind the start that it is about. */
export function warningOfReference(
  { byId }: Pick<Pipeline, "byId">,
  choice: DeviceChoice,
  onEvent: (event: RunEvent) => void,
): (event: RunEvent) => void {
  if (choice !== "auto") return onEvent; // who names the reference device knows
  const { device } = devicesFor(choice);
  let isTold = false;
  return (event) => {
    onEvent(event);
    if (isTold || event.type !== "started") return;
    const node = byId.get(event.id)!;
    const computes = node.work.kind === "module" && node.work.module.definition.device === true;
    if (!computes || deviceOf(node, device) !== "reference") return;
    isTold = true;
    onEvent({ type: "log", id: event.id, level: "warn", message: WARNING });
  };
}
