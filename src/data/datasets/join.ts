// Several data sets as one, in their order: what a list in pipeline.yaml means.

import { UserError } from "../../util/errors.ts";
import type { Dataset } from "./dataset.ts";

/** One data set out of several: every file keeps its own text rule, in a folder of its own. */
export function joinDatasets(parts: readonly Dataset[]): Dataset {
  const kinds = new Set(parts.map((part) => part.kind));
  if (kinds.size > 1) {
    throw new UserError("A mix cannot join texts and benchmarks.", {
      code: "DATASET_MIX",
      where: { path: "dataset" },
      hint: `Give the benchmarks a stage of their own. The mix names: ${parts.map((part) => part.name).join(", ")}.`,
    });
  }
  const unique = (texts: readonly string[]) => [...new Set(texts)];
  const names = sourceNames(parts);
  const columns = unique(parts.flatMap((part) => part.columns ?? []));
  return {
    name: parts.map((part) => part.name).join("+"),
    kind: parts[0]!.kind,
    license: unique(parts.map((part) => part.license)).join(" AND "),
    homepage: unique(parts.map((part) => part.homepage)).join(" "),
    language: unique(parts.map((part) => part.language)).join(", "),
    description: parts.map((part) => part.description).join(" "),
    size: parts.map((part) => part.size).join("; "),
    ...(columns.length > 0 && { columns }),
    files: parts.flatMap((part, index) =>
      part.files.map((file) => ({
        ...file,
        path: `${index}-${part.name}/${file.path}`,
        text: file.text ?? part.text,
        dropPath: file.dropPath ?? `${part.name}/${file.path}`,
        ...(part.kind === "text" && { sourceName: names[index]!.get(file.sourceName ?? part.name)! }),
      })),
    ),
    text: parts[0]!.text,
  };
}

/**
 * By part, what its sources are called, by which weights are given: its own name, or those of its sources where it is a
 * mix itself. The second of two that share one gets `-2`.
 */
function sourceNames(parts: readonly Dataset[]): ReadonlyMap<string, string>[] {
  const taken = new Set<string>();
  return parts.map(({ name, files }) => {
    const own = new Set(files.map((file) => file.sourceName ?? name));
    return new Map(Array.from(own, (source) => [source, freeName(source, taken)]));
  });
}

function freeName(name: string, taken: Set<string>): string {
  let free = name;
  for (let number = 2; taken.has(free); number++) free = `${name}-${number}`;
  taken.add(free);
  return free;
}
