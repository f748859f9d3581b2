// The `dataset` parameter of the download stage: a known name, its first files, the user's own files, a URL, or a
// list of these, which makes a mix.

import { statSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { type Digest, isDigest } from "../../util/digest.ts";
import { didYouMean, UserError } from "../../util/errors.ts";
import { namesColumn } from "../template.ts";
import { type Dataset, type DatasetFile, fileFormats, type TextRule } from "./dataset.ts";
import { type DatasetName, datasetNames, datasets } from "./index.ts";
import { joinDatasets } from "./join.ts";
import { formatOf, listFolder } from "./own-folder.ts";

/** For messages. */
const READABLE = `.${[...fileFormats, "md", "text"].join(", .")}`;

const textRule = {
  template: z
    .string()
    .refine(namesColumn, "a template names a column of the row in braces, as {text} does")
    .default("{text}")
    .describe("How a row becomes a document, `{title}\\n{text}`."),
  separator: z.string().min(1).optional().describe("Cuts text files into documents, `<|endoftext|>`."),
  documentBytes: z
    .int()
    .min(1)
    .optional()
    .describe("Cuts text files without marks at the first line end after this many bytes."),
  score: z
    .string()
    .regex(/^[^{}\s]+$/, "a column without braces, as grade or meta.difficulty")
    .optional()
    .describe("A column of numbers to sort by, where the shard stage is asked for order: { by: score }"),
};

const about = {
  name: z
    .string()
    .regex(/^(?!\.+$)[\w.-]+$/, "a name has letters, digits, `.`, `_` and `-`, and more than points")
    .optional(),
  license: z.string().default("LicenseRef-unknown").describe("SPDX identifier; recorded with the data."),
};

const sha256 = z
  .string()
  .transform((text) => (text.startsWith("sha256:") ? text : `sha256:${text}`).toLowerCase())
  .refine(isDigest, "a SHA-256 has 64 hexadecimal digits");

const named = z.enum(datasetNames);
const partSchema = z.strictObject({
  name: named,
  files: z.int().min(1).describe("Take only the first files of the set."),
});
const ownSchema = z.strictObject({
  path: z.string().min(1).describe("A file, or a folder that is read whole; relative to pipeline.yaml."),
  format: z.enum(fileFormats).optional(),
  ...textRule,
  ...about,
});
const address = z
  .url({ protocol: /^https?$/ })
  // Records and reports name the address; a token goes by the environment.
  .refine((text) => new URL(text).username === "" && new URL(text).password === "", "a URL must hold no password");
const urlSchema = z.strictObject({
  url: address,
  mirrors: z.array(address).optional().describe("Other addresses of the same file, tried in this order."),
  sha256: sha256.optional(),
  format: z.enum(fileFormats).optional(),
  ...textRule,
  ...about,
});
const oneSchema = z.union([named, ownSchema, urlSchema, partSchema], { error: explainChoice });

/** Parsed by the download stage; `expandChoice` turns it into a data set. */
export const datasetChoiceSchema = z.union([oneSchema, z.array(oneSchema).min(1)], { error: explainChoice });

export type DatasetChoice = z.output<typeof datasetChoiceSchema>;
type OneChoice = z.output<typeof oneSchema>;

function explainChoice(issue: { readonly input?: unknown }): string {
  const choices = Array.isArray(issue.input) ? issue.input : [issue.input];
  const unknown = choices.map(nameIn).find((name) => name !== undefined && !Object.hasOwn(datasets, name));
  if (unknown !== undefined) {
    return `"${unknown}" is no data set.${didYouMean(unknown, datasetNames)} Data sets are: ${datasetNames.join(", ")}; or { path: ./mytexts }, or { url, sha256 }`;
  }
  return "A data set is a name, { name, files }, { path, format?, template?, separator?, documentBytes?, score? }, { url, sha256?, ... }, or a list of these";
}

/** The name that a choice would look up, whatever else is wrong with it. */
function nameIn(choice: unknown): string | undefined {
  if (typeof choice === "string") return choice;
  const isPart = typeof choice === "object" && choice !== null && "name" in choice && "files" in choice;
  return isPart && typeof choice.name === "string" ? choice.name : undefined;
}

/**
 * The data set that a choice means. Paths are resolved against `root`, the folder of pipeline.yaml.
 * Throws a UserError for a path that is missing or holds nothing readable.
 */
export function expandChoice(choice: DatasetChoice, root: string): Dataset {
  if (!Array.isArray(choice)) return expandOne(choice, root);
  const parts = choice.map((part) => expandOne(part, root));
  return parts.length === 1 ? parts[0]! : joinDatasets(parts);
}

/** The user's own files and folders that a choice reads, absolute. Throws as expandChoice() does. */
export function ownPaths(choice: DatasetChoice, root: string): string[] {
  expandChoice(choice, root);
  const parts = Array.isArray(choice) ? choice : [choice];
  return parts.flatMap((part) => (typeof part === "object" && "path" in part ? [path.resolve(root, part.path)] : []));
}

function expandOne(choice: OneChoice, root: string): Dataset {
  if (typeof choice === "string") return datasets[choice as DatasetName];
  if ("url" in choice) return fromUrl(choice);
  if ("path" in choice) return fromPath(choice, root);
  const whole: Dataset = datasets[choice.name];
  return { ...whole, files: whole.files.slice(0, choice.files) };
}

/** Only what was given: the schema's defaults leave no undefined members behind. */
function ruleOf(choice: z.output<typeof ownSchema> | z.output<typeof urlSchema>): TextRule {
  const { template, separator, documentBytes, score } = choice;
  return {
    template,
    ...(separator === undefined ? {} : { separator }),
    ...(documentBytes === undefined ? {} : { documentBytes }),
    ...(score === undefined ? {} : { score }),
  };
}

function own(name: string, license: string, files: readonly DatasetFile[], text: TextRule): Dataset {
  return {
    name,
    kind: "text",
    license,
    homepage: "",
    language: "und",
    description: "Texts of the user's own.",
    size: `${files.length} files`,
    files,
    text,
  };
}

function fromUrl(choice: z.output<typeof urlSchema>): Dataset {
  const file = fileNameIn(new URL(choice.url)) || "download";
  const format = choice.format ?? formatOf(file) ?? unknownFormat(choice.url);
  const pin = choice.sha256 === undefined ? {} : { sha256: choice.sha256 as Digest };
  const files: DatasetFile[] = [
    { path: file, format, source: { kind: "url", urls: [choice.url, ...(choice.mirrors ?? [])] }, ...pin },
  ];
  return own(choice.name ?? safeName(file), choice.license, files, ruleOf(choice));
}

/** Unescaped, unless that leaves no plain name: a `%2F` in it would be a folder, and a `%ZZ` is nothing. */
function fileNameIn({ pathname }: URL): string {
  const escaped = path.posix.basename(pathname);
  try {
    const name = decodeURIComponent(escaped);
    return /^[^/\\\0]*$/.test(name) && !/^\.+$/.test(name) ? name : escaped;
  } catch {
    return escaped;
  }
}

function fromPath(choice: z.output<typeof ownSchema>, root: string): Dataset {
  const target = path.resolve(root, choice.path);
  const stats = statSync(target, { throwIfNoEntry: false });
  if (stats === undefined) {
    throw new UserError(`There is no file or folder ${choice.path}.`, {
      code: "DATASET_NOT_FOUND",
      where: { path: "dataset.path" },
      hint: `Looked at ${target}: paths are relative to the folder of pipeline.yaml.`,
    });
  }
  const found = stats.isDirectory() ? listFolder(target).names : [path.basename(target)];
  const folder = stats.isDirectory() ? target : path.dirname(target);
  const files = found.flatMap((name): DatasetFile[] => {
    const format = choice.format ?? formatOf(name);
    if (format === undefined) return [];
    return [{ path: name, format, source: { kind: "own", path: path.join(folder, name) } }];
  });
  if (files.length === 0) {
    throw new UserError(`${choice.path} holds no file that can be read as text.`, {
      code: "DATASET_EMPTY",
      where: { path: "dataset.path" },
      hint: `Readable are ${READABLE}; for other names say format: txt.`,
    });
  }
  return own(choice.name ?? safeName(path.basename(target)), choice.license, files, ruleOf(choice));
}

/** What a choice passes over in the user's own folders, a sentence each: for a warning. Throws as expandChoice() does. */
export function passedOver(choice: DatasetChoice, root: string): string[] {
  expandChoice(choice, root);
  const parts = Array.isArray(choice) ? choice : [choice];
  return parts.flatMap((part): string[] => {
    if (typeof part !== "object" || !("path" in part)) return [];
    const folder = path.resolve(root, part.path);
    if (!statSync(folder).isDirectory()) return [];
    const { names, linkedFolders, caches } = listFolder(folder);
    const others = part.format === undefined ? names.filter((name) => formatOf(name) === undefined) : [];
    const linked = [
      ...linkedFolders.map((name) => `${part.path}/${name} is a link to a folder and is not read.`),
      ...caches.map((name) => `${part.path}/${name} is a cache of Hugging Face datasets and is not read.`),
    ];
    if (others.length === 0) return linked;
    const rest = others.length > 1 ? ` and ${others.length - 1} more` : "";
    return [...linked, `${part.path}/${others[0]}${rest}: not read, for readable are ${READABLE}.`];
  });
}

function unknownFormat(name: string): never {
  throw new UserError(`The format of ${name} cannot be told from its name.`, {
    code: "DATASET_FORMAT",
    where: { path: "dataset.format" },
    hint: `Say format: one of ${fileFormats.join(", ")}.`,
  });
}

const safeName = (name: string) => name.replace(/[^\w.-]/g, "-");
