// `init DIR`: a lab that runs: pipeline.yaml with the default experiments, and what git should not keep.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { messageOf, UserError } from "../../util/errors.ts";
import { packageRoot } from "../../util/package-root.ts";
import { print, printJson } from "../output.ts";

const SCHEMA_LINE = /^# yaml-language-server:.*$/m;

export async function init(folder: string, options: { json: boolean }): Promise<number> {
  const lab = path.resolve(folder);
  const file = path.join(lab, "pipeline.yaml");
  if (existsSync(file)) {
    throw new UserError("There is a pipeline.yaml already; nothing was changed.", {
      code: "LAB_EXISTS",
      where: { file },
      hint: "Choose another folder, or run `stlm-pipeline repro` in this one.",
    });
  }
  const written = [write(file, labPipeline(lab)), write(path.join(lab, ".gitignore"), "artifacts/\n")];
  if (options.json) printJson({ lab, written });
  else {
    print(`Made a lab in ${lab}:`);
    for (const name of written) print(`  ${path.relative(lab, name)}`);
    print(`Next: cd ${path.relative(process.cwd(), lab) || "."} && npx stlm-pipeline repro`);
  }
  return 0;
}

/** The package's own experiments, with the editor's schema where this lab finds it. */
function labPipeline(lab: string): string {
  const text = readFileSync(path.join(packageRoot(), "pipeline.yaml"), "utf8");
  const schema = path.relative(lab, path.join(packageRoot(), "schema", "pipeline.schema.json"));
  return text.replace(SCHEMA_LINE, `# yaml-language-server: $schema=${schema.split(path.sep).join("/")}`);
}

/** Level by level: Node's own recursive mkdir never returns where the parent refuses new folders, as /proc does. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(path.dirname(folder));
  mkdirSync(folder);
}

function write(file: string, text: string): string {
  if (existsSync(file)) return file;
  try {
    makeFolder(path.dirname(file));
    writeFileSync(file, text);
  } catch (cause) {
    throw new UserError(`${path.basename(file)} cannot be written: ${messageOf(cause)}.`, {
      code: "NOT_WRITABLE",
      where: { file },
      cause,
    });
  }
  return file;
}
