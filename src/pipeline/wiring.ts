// Input references -> edges: which output of which instance each instance reads.

import { didYouMean, type ErrorPlace, UserError } from "../util/errors.ts";
import type { LocatedMap } from "./located.ts";
import { agrees } from "./matrix.ts";
import type { StageModule } from "./modules.ts";
import type { ArtifactRef, CommandSpec, Scalar, StageNode } from "./node.ts";
import { parseReference, type Reference } from "./reference.ts";
import { type ArtifactType, parseInputType } from "./stage.ts";

/** A stage instance before its inputs are found. */
export interface Draft {
  readonly id: string;
  readonly name: string;
  readonly matrix: Readonly<Record<string, Scalar>>;
  readonly module: StageModule | undefined;
  readonly command: CommandSpec | undefined;
  readonly params: Readonly<Record<string, unknown>>;
  readonly inputTexts: LocatedMap;
  readonly seed: number;
  readonly resources: Readonly<Record<string, number>>;
  readonly where: ErrorPlace;
}

interface Wanted {
  readonly name: string;
  /** undefined: anything, as a command takes it. */
  readonly type: ArtifactType | undefined;
  readonly many: boolean;
}

export function wireInputs(drafts: readonly Draft[]): readonly StageNode[] {
  const byStage = new Map<string, Draft[]>();
  for (const draft of drafts) byStage.set(draft.name, [...(byStage.get(draft.name) ?? []), draft]);
  return drafts.map((draft) => ({
    id: draft.id,
    name: draft.name,
    matrix: draft.matrix,
    params: draft.params,
    inputs: inputsOf(draft, byStage),
    seed: draft.seed,
    resources: draft.resources,
    work: draft.module ? { kind: "module", module: draft.module } : { kind: "command", command: draft.command! },
    where: draft.where,
  }));
}

function inputsOf(draft: Draft, byStage: ReadonlyMap<string, readonly Draft[]>): StageNode["inputs"] {
  const declared = draft.module?.definition.inputs;
  const names = declared ? Object.keys(declared) : [];
  const inputs: Record<string, ArtifactRef | readonly ArtifactRef[]> = {};
  for (const [name, entry] of draft.inputTexts.entries) {
    if (declared && !names.includes(name)) {
      throw new UserError(`Stage "${draft.name}" has no input "${name}".`, {
        code: "UNKNOWN_INPUT",
        where: entry.keyWhere,
        hint:
          names.length > 0 ? `Its inputs are: ${names.join(", ")}.${didYouMean(name, names)}` : "It reads no inputs.",
      });
    }
    const text = entry.value.kind === "scalar" ? String(entry.value.value) : "";
    const reference = parseReference(text, entry.value.where);
    const type = declared && parseInputType(declared[name]!);
    const many = type ? type.many : reference.select !== undefined && Object.keys(reference.select).length === 0;
    inputs[name] = resolve(reference, { name, type: type?.type, many }, byStage, entry.value.where, draft);
  }
  for (const name of names) {
    const { optional } = parseInputType(declared![name]!);
    if (!(name in inputs) && !optional) {
      throw new UserError(`Stage "${draft.name}" needs the input "${name}" (${declared![name]}).`, {
        code: "MISSING_INPUT",
        where: draft.where,
        hint: `Add it under stages.${draft.name}.inputs.`,
      });
    }
  }
  return inputs;
}

function resolve(
  reference: Reference,
  wanted: Wanted,
  byStage: ReadonlyMap<string, readonly Draft[]>,
  where: ErrorPlace,
  reader: Draft,
): ArtifactRef | readonly ArtifactRef[] {
  const candidates = byStage.get(reference.stage);
  if (!candidates) {
    const names = [...byStage.keys()];
    throw new UserError(`Stage "${reader.name}" reads "${reference.stage}", which is no stage.`, {
      code: "UNKNOWN_STAGE",
      where,
      hint: `Stages are: ${names.join(", ")}.${didYouMean(reference.stage, names)}`,
    });
  }
  const chosen = reference.select ? candidates.filter((draft) => agrees(draft.matrix, reference.select!)) : candidates;
  const output = chooseOutput(candidates[0]!, reference, wanted, where);
  const refs = chosen.map((draft): ArtifactRef => ({ node: draft.id, output }));
  // A list may be empty, but not by a selection that nothing agrees with.
  const isAll = Object.keys(reference.select ?? {}).length === 0;
  if (wanted.many && (refs.length > 0 || isAll)) return refs;
  if (!wanted.many && refs.length === 1) return refs[0]!;
  const ids = candidates.map((draft) => draft.id);
  const isCommand = reader.module === undefined && refs.length > 1;
  const all = isCommand ? ` A command reads all of them as a list by ${reference.stage}[*].` : "";
  const shown = ids.slice(0, 6).join(", ") + (ids.length > 6 ? `, ... (${ids.length} in all)` : "");
  throw new UserError(
    refs.length === 0
      ? `No instance of stage "${reference.stage}" matches the input "${wanted.name}" of "${reader.id}".`
      : `The input "${wanted.name}" of "${reader.id}" takes one artifact, and ${refs.length} instances of "${reference.stage}" match.`,
    { code: "BAD_SELECTION", where, hint: `Its instances are: ${shown}.${all}` },
  );
}

function chooseOutput(source: Draft, reference: Reference, wanted: Wanted, where: ErrorPlace): string {
  const outputs: Readonly<Record<string, ArtifactType>> = source.module?.definition.outputs ?? { files: "files" };
  const names = Object.keys(outputs);
  if (reference.output !== undefined) {
    const type = outputs[reference.output];
    if (type === undefined || (wanted.type !== undefined && type !== wanted.type)) {
      throw new UserError(
        type === undefined
          ? `Stage "${reference.stage}" has no output "${reference.output}".`
          : `"${reference.stage}.${reference.output}" is ${type}, and the input "${wanted.name}" takes ${wanted.type}.`,
        {
          code: "UNKNOWN_OUTPUT",
          where,
          hint: `Its outputs are: ${names.map((name) => `${name} (${outputs[name]})`).join(", ")}.${type === undefined ? didYouMean(reference.output, names) : ""}`,
        },
      );
    }
    return reference.output;
  }
  const fitting = names.filter((name) => wanted.type === undefined || outputs[name] === wanted.type);
  if (fitting.length === 1) return fitting[0]!;
  throw new UserError(
    fitting.length === 0
      ? `Stage "${reference.stage}" writes no ${wanted.type}, which the input "${wanted.name}" takes.`
      : `Stage "${reference.stage}" has several outputs that fit the input "${wanted.name}".`,
    {
      code: "UNKNOWN_OUTPUT",
      where,
      hint: `Its outputs are: ${names.map((name) => `${name} (${outputs[name]})`).join(", ")}. Write ${reference.stage}.OUTPUT.`,
    },
  );
}
