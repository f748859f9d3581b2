// Which past run a user means: an instance as it is written in reports, or some of its axes.

import { agrees } from "../pipeline/matrix.ts";
import { parseReference, type Reference } from "../pipeline/reference.ts";
import type { ActionRecord, Store } from "../store/store.ts";
import { UserError } from "../util/errors.ts";

/**
 * The newest record of the instance that `name` names: its id, or axes that only one instance agrees with
 * (`train[model=baseline]`). undefined where none does; throws UserError BAD_SELECTION where several do.
 */
export function newestRecord(store: Store, name: string): ActionRecord | undefined {
  const records = store.listActions();
  const wanted = parsed(name);
  const isMeant = ({ stage }: ActionRecord): boolean => {
    const own = parsed(stage);
    return wanted !== undefined && own?.stage === wanted.stage && agrees(own.select ?? {}, wanted.select ?? {});
  };
  const exact = records.filter((record) => record.stage === name);
  const found = exact.length > 0 ? exact : records.filter(isMeant);
  const instances = [...new Set(found.map((record) => record.stage))].sort();
  if (instances.length > 1) {
    throw new UserError(`"${name}" has several instances.`, {
      code: "BAD_SELECTION",
      hint: `Name one of: ${instances.join(", ")}`,
    });
  }
  return found.sort((a, b) => a.provenance.startedAt.localeCompare(b.provenance.startedAt)).at(-1);
}

function parsed(text: string): Reference | undefined {
  try {
    return parseReference(text, {});
  } catch {
    return undefined; // a digest, or nothing of this lab: the caller says so
  }
}
