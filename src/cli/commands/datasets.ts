// `datasets`: the data sets that pipeline.yaml may name, and the data card of one.

import { type CardFile, cardOf, type DataCard } from "../../data/datasets/card.ts";
import type { Dataset } from "../../data/datasets/dataset.ts";
import { datasetNames, datasets as known } from "../../data/datasets/index.ts";
import { readPins } from "../../data/download/pins.ts";
import { didYouMean, UserError } from "../../util/errors.ts";
import { formatBytes, formatCount } from "../../util/format.ts";
import { columns, print, printJson } from "../output.ts";

interface DatasetsOptions {
  readonly directory: string;
  readonly json: boolean;
}

/** So many files of a set are printed before and after an ellipsis; `--json` has them all. */
const SHOWN_FILES = 8;

export async function datasets(
  action: string | undefined,
  name: string | undefined,
  options: DatasetsOptions,
): Promise<number> {
  if (action === undefined) list(options.json);
  else show(action, name, options);
  return 0;
}

function list(json: boolean): void {
  const cards = Object.values(known).map((dataset) => cardOf(dataset));
  if (json) {
    printJson(cards.map(({ files, ...card }) => ({ ...card, files: files.length })));
    return;
  }
  const rows = cards.map((card) => [card.name, card.size, card.language, card.pinned, origin(card), card.license]);
  print(columns([["name", "size", "language", "pinned by", "from", "licence"], ...rows]));
  print("\nstlm-pipeline datasets show <name> prints all that is known of one.");
}

function show(action: string, name: string | undefined, options: DatasetsOptions): void {
  if (action !== "show" || name === undefined) {
    const isName = Object.hasOwn(known, action);
    throw new UserError(name === undefined && action === "show" ? "Which data set?" : `"${action}" is no action.`, {
      code: "USAGE",
      hint: isName ? `Did you mean: stlm-pipeline datasets show ${action}` : "Say: stlm-pipeline datasets show <name>",
    });
  }
  if (!Object.hasOwn(known, name)) {
    throw new UserError(`"${name}" is no data set.${didYouMean(name, datasetNames)}`, {
      code: "UNKNOWN_DATASET",
      hint: `Data sets are: ${datasetNames.join(", ")}.`,
    });
  }
  const dataset: Dataset = known[name as keyof typeof known];
  const card = cardOf(dataset, readPins(options.directory));
  if (options.json) printJson(card);
  else print(describe(card));
}

function origin({ files }: DataCard): string {
  const { from } = files[0]!;
  if (from === "package") return "the package";
  return from === "data-dir" ? "--data-dir" : "the network";
}

function describe(card: DataCard): string {
  const { rows, bytes, text = [], remark, files, revisions } = card;
  const stage = card.kind === "benchmark" ? "benchmarks" : "corpus"; // as the default pipeline.yaml calls them
  const facts: string[][] = [
    ["kind", card.kind],
    ["licence", card.license],
    ["language", card.language],
    ["homepage", card.homepage],
    ["size", card.size],
    ...(rows === undefined ? [] : [["rows", formatCount(rows)]]),
    ...(bytes === undefined ? [] : [["bytes", `${formatCount(bytes)} in ${formatCount(files.length)} files`]]),
    ...(card.columns === undefined ? [] : [["columns", card.columns.join(", ")]]),
    ...text.map(({ source, ...rule }) => [
      "text",
      `${source === undefined ? "" : `${source}: `}${JSON.stringify(rule)}`,
    ]),
    ...(revisions.length === 0 ? [] : [["revision", revisions.join(", ")]]),
    ["pinned by", card.pinned],
    ...(remark === undefined ? [] : [["remark", remark]]),
    ["use it", `params: { ${stage}: { dataset: ${card.name} } }`],
    ...(files.length > 1
      ? [["", `params: { ${stage}: { dataset: { name: ${card.name}, files: 1 } } }  the first file alone`]]
      : []),
  ];
  const shown = files.length > SHOWN_FILES ? files.slice(0, SHOWN_FILES - 2) : files;
  const rest = files.length - shown.length;
  const more = rest > 0 ? `\n... and ${formatCount(rest)} more files: --json has them all` : "";
  return `${card.name}: ${card.description}\n\n${columns(facts)}\n\n${shown.map(describeFile).join("\n")}${more}`;
}

function describeFile({ path, from, bytes, sha256, recorded, dropPath, benchmark, note }: CardFile): string {
  const size = bytes === undefined ? "size unknown" : formatBytes(bytes);
  const digest = sha256 ?? (recorded === undefined ? "pinned on first use" : `${recorded} as this lab first got it`);
  const lines = [`${path}  ${size}, ${digest}`];
  if (benchmark !== undefined) lines.push(`  holds ${benchmark}${note === undefined ? "" : `: ${note}`}`);
  if (Array.isArray(from)) lines.push(...from.map((url) => `  from ${url}`));
  if (dropPath !== undefined) lines.push(`  ${Array.isArray(from) ? "or from" : "from"} <data-dir>/${dropPath}`);
  return lines.join("\n");
}
