// What a result comes from, in a few lines: the code, inputs, parameters, seed and machine of the run that made it.
// `show` prints all of it.

import type { ActionPreimage, CommandCode, NamedInput } from "../pipeline/key.ts";
import type { CodeFingerprint } from "../pipeline/modules.ts";
import type { ActionRecord } from "../store/store.ts";
import { canonicalJson } from "../util/canonical-json.ts";
import { shortDigest } from "../util/digest.ts";

const MOST_SHOWN = 3;
const MOST_CHARACTERS = 1000;

/** Label and text of each part that a key was made of, and of the machine that ran it. */
export function originRows({ preimage, provenance }: ActionRecord): string[][] {
  const { code, inputs, files, params, seed, device, runtime } = preimage as ActionPreimage;
  const machine = [provenance.measures["device"] ?? provenance.device, device?.class, runtime];
  return [
    ["code", "bundle" in code ? moduleText(code) : commandText(code)],
    ...Object.entries(inputs).map(([name, input]) => [`input ${name}`, inputText(input)]),
    ...Object.entries(files ?? {}).map(([name, digest]) => ["file", `${shortDigest(digest)}  ${name}`]),
    ["params", shortened(canonicalJson(params))],
    ...(seed === undefined ? [] : [["seed", String(seed)]]),
    ["machine", machine.filter((part) => part !== undefined).join(", ") || "any: it computes on no device"],
  ];
}

function moduleText({ bundle, native, packages }: CodeFingerprint): string {
  const sources = Object.keys(native).length;
  const compiled = sources > 0 ? [`${sources} native source${sources > 1 ? "s" : ""}`] : [];
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  return [`bundle ${shortDigest(bundle)}`, ...compiled, ...versions].join(", ");
}

function commandText({ command, deps }: CommandCode): string {
  const files = Object.entries(deps).map(([name, digest]) => `${name} ${shortDigest(digest)}`);
  return shortened([command, ...files].join(", "));
}

function inputText(input: NamedInput | readonly NamedInput[]): string {
  const text = ({ stage, digest }: NamedInput) => `${shortDigest(digest)}  ${stage}`;
  if ("digest" in input) return text(input);
  const shown = input.slice(0, MOST_SHOWN).map(text).join(", ");
  return input.length > MOST_SHOWN ? `${shown} and ${input.length - MOST_SHOWN} more` : shown || "none";
}

function shortened(text: string): string {
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}...` : text;
}
