// The small language in which a stage names what it reads: `corpus`, `tokens.tokenizer`, `train[model=baseline,seed=1]`,
// `evaluate[*]`, `train[model=baseline].model`.

import { type ErrorPlace, UserError } from "../util/errors.ts";

export interface Reference {
  readonly stage: string;
  /** undefined: nothing in brackets; empty: `[*]`; else the axes that must agree. */
  readonly select: Readonly<Record<string, string>> | undefined;
  readonly output: string | undefined;
}

const PATTERN = /^([A-Za-z0-9_-]+)(?:\[([^\]]*)\])?(?:\.([A-Za-z0-9_-]+))?$/;

/** Throws UserError BAD_REFERENCE. */
export function parseReference(text: string, where: ErrorPlace): Reference {
  const match = PATTERN.exec(text.trim());
  const select = match?.[2] === undefined ? undefined : parseSelection(match[2]);
  if (!match || select === null) {
    throw new UserError(`"${text}" does not name a stage's output.`, {
      code: "BAD_REFERENCE",
      where,
      hint: "Write stage, stage.output, stage[axis=value,...] or stage[*].",
    });
  }
  return { stage: match[1]!, select, output: match[3] };
}

/** `*` -> {}, `model=a,seed=1` -> { model: "a", seed: "1" }, null where it is neither. */
function parseSelection(text: string): Record<string, string> | null {
  if (text.trim() === "*") return {};
  const select: Record<string, string> = {};
  for (const part of text.split(",")) {
    const [axis, value, ...more] = part.split("=");
    if (!axis?.trim() || value === undefined || more.length > 0) return null;
    select[axis.trim()] = value.trim();
  }
  return select;
}
