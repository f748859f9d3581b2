// What is known of a data set, as one record: for the list and the data card of `stlm-pipeline datasets`.

import type { Digest } from "../../util/digest.ts";
import { type Dataset, type DatasetFile, resolvedAddress, type TextRule } from "./dataset.ts";

export interface CardFile {
  readonly path: string;
  /** `package`, `data-dir`, or the mirrors' addresses. */
  readonly from: "package" | "data-dir" | readonly string[];
  readonly bytes?: number;
  readonly sha256?: Digest;
  /** What this lab got first and holds later downloads to, where no digest is published. */
  readonly recorded?: Digest;
  /** Below the folder of `--data-dir`, where it is looked for before the network is asked. */
  readonly dropPath?: string;
  readonly benchmark?: string;
  readonly note?: string;
}

export interface DataCard {
  readonly name: string;
  readonly kind: Dataset["kind"];
  readonly description: string;
  readonly license: string;
  readonly homepage: string;
  readonly language: string;
  readonly size: string;
  readonly rows?: number;
  /** Of all files, where all sizes are known. */
  readonly bytes?: number;
  readonly columns?: readonly string[];
  /** Each rule once, with the source it belongs to in a mix. */
  readonly text?: readonly (TextRule & { readonly source?: string })[];
  readonly remark?: string;
  readonly revisions: readonly string[];
  readonly pinned: string;
  readonly files: readonly CardFile[];
}

/** `pins` has the digests that this lab pinned on first use, by address. */
export function cardOf(dataset: Dataset, pins: ReadonlyMap<string, Digest> = new Map()): DataCard {
  const { name, kind, description, license, homepage, language, size, rows, columns, remark, files } = dataset;
  const sizes = files.map((file) => file.bytes);
  const known = sizes.every((bytes) => bytes !== undefined);
  const revisions = files.flatMap(({ source }) => (source.kind === "url" ? (source.revision ?? []) : []));
  return {
    ...{ name, kind, description, license, homepage, language, size },
    ...(rows !== undefined && { rows }),
    ...(known && { bytes: sizes.reduce((sum, bytes) => sum + bytes, 0) }),
    ...(columns !== undefined && { columns }),
    ...(kind === "text" && { text: rulesOf(dataset) }),
    ...(remark !== undefined && { remark }),
    revisions: [...new Set(revisions)],
    pinned: pinnedBy(files),
    files: files.flatMap((file) => [cardFile(dataset, file, pins), ...listedFiles(dataset, file, pins)]),
  };
}

/** By what the bytes are known before they are fetched. */
function pinnedBy(files: readonly DatasetFile[]): string {
  const digests = files.filter((file) => file.sha256 !== undefined).length;
  const byRevision = files.every(({ source }) => source.kind !== "url" || source.revision !== undefined);
  if (files.some(({ source }) => source.kind === "listing"))
    return digests > 0 ? "partly, rest on first use" : "on first use";
  if (digests === files.length) return "every digest";
  const share = digests > 0 ? `${digests} of ${files.length} digests, ` : "";
  return byRevision ? `${share}revision` : `${share}on first use`;
}

function rulesOf({ text, files }: Dataset): (TextRule & { readonly source?: string })[] {
  const rules = new Map<string, TextRule & { readonly source?: string }>();
  for (const file of files) {
    const rule = { ...(file.text ?? text), ...(file.sourceName !== undefined && { source: file.sourceName }) };
    rules.set(JSON.stringify(rule), rule);
  }
  return [...rules.values()];
}

/** What the lab knows by its pins of the files of a listing, which only the hub names. */
function listedFiles(dataset: Dataset, file: DatasetFile, pins: ReadonlyMap<string, Digest>): CardFile[] {
  const { source } = file;
  if (source.kind !== "listing") return [];
  const folder = resolvedAddress(source, "");
  const addresses = [...pins.keys()].filter((address) => address.startsWith(folder));
  return addresses.map((address) => {
    const path = `${file.path}/${decodeURIComponent(address.slice(folder.length))}`;
    return cardFile(dataset, { ...file, path, source: { kind: "url", urls: [address] } }, pins);
  });
}

function cardFile(dataset: Dataset, file: DatasetFile, pins: ReadonlyMap<string, Digest>): CardFile {
  const { path, bytes, sha256, benchmark, note, source } = file;
  const seen = sha256 === undefined && source.kind === "url" ? pins.get(source.urls[0]!) : undefined;
  return {
    path,
    from: placeOf(file),
    ...(bytes !== undefined && { bytes }),
    ...(sha256 !== undefined && { sha256 }),
    ...(seen !== undefined && { recorded: seen }),
    ...(source.kind === "data-dir" && { dropPath: source.path }),
    ...((source.kind === "url" || source.kind === "listing") && {
      dropPath: file.dropPath ?? `${dataset.name}/${path}`,
    }),
    ...(benchmark !== undefined && { benchmark }),
    ...(note !== undefined && { note }),
  };
}

function placeOf({ source }: DatasetFile): CardFile["from"] {
  if (source.kind === "asset") return "package";
  if (source.kind === "url") return source.urls;
  if (source.kind === "listing") return [`${source.hub}/datasets/${source.repository}/tree/main`];
  return "data-dir";
}
