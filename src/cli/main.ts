#!/usr/bin/env node
// The command line: what commands and options exist. Each command is a file in commands/.

import { Argument, Command, CommanderError, Option } from "commander";
import { packageVersion } from "../util/package-root.ts";
import { EXIT, reportError } from "./output.ts";
import { count, fraction, nonEmpty, positive, share } from "./values.ts";

const EXITS = "\nExit codes: 0 done, 1 a stage failed, 2 usage or configuration, 3 an audit found a difference.";

function example(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ stlm-pipeline ${line}`).join("\n")}\n${EXITS}`;
}

/** Options that choose the experiments: every command that reads pipeline.yaml has them. */
function withLab(command: Command): Command {
  return command
    .option("--profile <name>", "values of profiles.<name> instead of the default profile's")
    .addOption(
      new Option("--set <path=value>", "override one value, e.g. train.steps=50 (repeatable)")
        .argParser(collect)
        .default([], "none"),
    )
    .option("-C, --directory <dir>", "the lab: the folder of pipeline.yaml", ".")
    .option("--json", "print one JSON document", false);
}

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

function withDevice(command: Command): Command {
  const device = new Option("--device <name>", "compute device").choices(["auto", "cpu", "cuda", "reference"]);
  return command.addOption(device.default("auto"));
}

function withExecution(command: Command): Command {
  return withDevice(withLab(command))
    .option("--force", "run the named stages (or all) even if they are cached", false)
    .option("-j, --jobs <n>", "stages that run at the same time (default: one per core)", positive)
    .option("--keep-going", "after a failure, run what does not depend on it", false)
    .option("--data-dir <dir>", "folder of data sets outside the lab (default: $STLM_DATA_DIR)");
}

function splitOption(): Option {
  return new Option("--split <name>", "only this split").choices(["train", "validation", "test"]);
}

function tokenizerOption(): Option {
  return new Option("--tokenizer <path-or-hash>", "the tokenizer of the ids (default: found in the lab)");
}

type Action = (...args: never[]) => Promise<number>;

/**
 * Loads a command's file, so that `repro` need not wait for what only `sample` reads; runs its function and turns what
 * that returns or throws into the exit code.
 */
function exitCodeOf(load: () => Promise<Action>) {
  return async (...args: unknown[]): Promise<void> => {
    const command = args.at(-1) as Command;
    const options = command.opts() as { json?: boolean };
    try {
      const action = (await load()) as (...values: unknown[]) => Promise<number>;
      process.exitCode = await action(...args.slice(0, -2), options);
    } catch (error) {
      process.exitCode = reportError(error, options.json === true);
    }
  };
}

function buildProgram(): Command {
  const program = new Command("stlm-pipeline")
    .description("A laboratory for super tiny language models: from raw text to the paper's tables.")
    .version(packageVersion())
    .showSuggestionAfterError()
    .addHelpText("after", example("repro", "repro --dry-run --profile 50m", 'why "train[model=baseline,seed=1]"'));

  withExecution(program.command("repro"))
    .description("run what is not fresh, and write reports/")
    .argument("[stages...]", "only these stages or instances, with all they need")
    .option("--dry-run", "say what would run, and why; run nothing", false)
    .addHelpText("after", example("repro", "repro train --set train.steps=50", "repro --dry-run --profile 50m"))
    .action(exitCodeOf(async () => (await import("./commands/repro.ts")).repro));
  withDevice(withLab(program.command("status")))
    .description("what is fresh, what is cached, what would run")
    .addHelpText("after", example("status", "status --set train.steps=50"))
    .action(exitCodeOf(async () => (await import("./commands/status.ts")).status));
  withDevice(withLab(program.command("why")))
    .description("why a stage would run, field by field")
    .argument("<stage>", 'a stage or an instance, e.g. "train[model=baseline,seed=1]"')
    .addHelpText("after", example("why report", 'why "train[model=baseline,seed=1]" --set train.steps=10'))
    .action(exitCodeOf(async () => (await import("./commands/why.ts")).why));
  withLab(program.command("dag"))
    .description("the graph of stages")
    .addOption(new Option("--format <name>", "how to draw it").choices(["text", "mermaid", "dot"]).default("text"))
    .option("--expand", "each instance of a matrix on its own", false)
    .addHelpText("after", example("dag", "dag --format dot --expand | dot -Tsvg > dag.svg"))
    .action(exitCodeOf(async () => (await import("./commands/dag.ts")).dag));
  program
    .command("audit")
    .description("verify every byte and record, or trace one hash or number: what made it, what it fed")
    .argument("[what]", "a digest or its first digits, a stage instance, or the id of a number in reports/results.json")
    .option("-C, --directory <dir>", "the lab", ".")
    .option("--json", "print one JSON document", false)
    .addHelpText("after", example("audit", "audit 1f3a9c0b2d4e", "audit report", "audit results/baseline/blimp"))
    .action(exitCodeOf(async () => (await import("./commands/audit.ts")).audit));
  withExecution(program.command("report"))
    .description("rebuild reports/ from artifacts alone; trains nothing")
    .addHelpText("after", example("report"))
    .action(exitCodeOf(async () => (await import("./commands/report.ts")).report));
  program
    .command("runs")
    .description("past runs, and what each stage of them took, from the hash-chained log")
    .option("--last <n>", "how many lines; 0 for all", count, 20)
    .option("-C, --directory <dir>", "the lab", ".")
    .option("--json", "print one JSON document", false)
    .addHelpText("after", example("runs", "runs --last 5 --json"))
    .action(exitCodeOf(async () => (await import("./commands/runs.ts")).runs));
  program
    .command("show")
    .description("one stage's record: key, inputs, outputs, measured cost, log")
    .argument("<stage-or-hash>", "an instance, or a digest's first digits")
    .option("--log", "print the captured log", false)
    .option("-C, --directory <dir>", "the lab", ".")
    .option("--json", "print one JSON document", false)
    .addHelpText("after", example('show "train[model=baseline,seed=1]"', 'show "train[model=baseline,seed=1]" --log'))
    .action(exitCodeOf(async () => (await import("./commands/show.ts")).show));
  withLab(program.command("sample"))
    .description("generate text from a trained model")
    .argument("<stage>", 'a train instance, e.g. "train[model=baseline,seed=1]"')
    .argument("[prompt]", "text to continue", "Once upon a time")
    .option("--tokens <n>", "how many tokens", positive, 100)
    .option("--temperature <t>", "0 takes the most likely token", fraction, 0.8)
    .option("--top-k <k>", "only the k most likely tokens; 0 for all", count, 0)
    .option("--top-p <p>", "only the most likely tokens of this total probability", share, 0.95)
    .option("--seed <n>", "same seed, same text", count, 1)
    .addOption(
      new Option("--device <name>", "compute device").choices(["auto", "cpu", "cuda", "reference"]).default("auto"),
    )
    .addHelpText("after", example('sample "train[model=baseline,seed=1]" "Once upon a time"'))
    .action(exitCodeOf(async () => (await import("./commands/sample.ts")).sample));
  program
    .command("datasets")
    .description("the data sets that pipeline.yaml may name; `show` prints the data card of one")
    .argument("[action]", "`show`; without it, the list")
    .argument("[name]", "a data set")
    .option("-C, --directory <dir>", "the lab", ".")
    .option("--json", "print one JSON document", false)
    .addHelpText("after", example("datasets", "datasets show openwebtext", "datasets show simple-wikipedia --json"))
    .action(exitCodeOf(async () => (await import("./commands/datasets.ts")).datasets));
  program
    .command("inspect")
    .description("documents of a shard as text")
    .argument("<shard>", "a shard's file, a folder of shards, a hash, or a stage such as shards")
    .addOption(splitOption())
    .option("--start <n>", "the first document to print, from 0", count, 0)
    .option("-n, --count <n>", "how many documents", count, 3)
    .addOption(tokenizerOption())
    .option("-C, --directory <dir>", "the lab", ".")
    .option("--json", "print one JSON document, token ids included", false)
    .addHelpText("after", example("inspect shards", "inspect shards --split validation --start 10 -n 1"))
    .action(exitCodeOf(async () => (await import("./commands/inspect.ts")).inspect));
  program
    .command("export")
    .description("shards, or the rows of an evaluation, as an Arrow or Parquet file")
    .argument("<what>", "a folder, a shard's file, a hash, or a stage such as shards")
    .addOption(new Option("--to <format>", "the format").choices(["arrow", "parquet"]).makeOptionMandatory())
    .option("-o, --output <file>", "where to (default: named after what is exported)")
    .addOption(splitOption())
    .addOption(new Option("--rows <which>", "of an evaluation").choices(["items", "documents"]).default("items"))
    .addOption(tokenizerOption())
    .option("-C, --directory <dir>", "the lab", ".")
    .option("--json", "print one JSON document", false)
    .addHelpText(
      "after",
      example("export shards --to parquet", 'export "evaluate[model=baseline,seed=1]" --to arrow -o items.arrow'),
    )
    .action(exitCodeOf(async () => (await import("./commands/export.ts")).exportArtifact));
  program
    .command("init")
    .description("make a lab: a folder with a pipeline.yaml that runs")
    .addArgument(new Argument("<dir>", "the new folder").argParser(nonEmpty))
    .option("--json", "print one JSON document", false)
    .addHelpText("after", example("init lab"))
    .action(exitCodeOf(async () => (await import("./commands/init.ts")).init));
  program
    .command("doctor")
    .description("what this machine has, what is missing, and what to do")
    .option("-C, --directory <dir>", "the lab", ".")
    .option("--json", "print one JSON document", false)
    .addHelpText("after", example("doctor"))
    .action(exitCodeOf(async () => (await import("./commands/doctor.ts")).doctor));
  program
    .command("schema")
    .description("the JSON schema of pipeline.yaml, for editors")
    .option("--write <file>", "write it to a file instead of printing it")
    .option("-C, --directory <dir>", "the lab", ".")
    .addHelpText("after", example("schema > pipeline.schema.json"))
    .action(exitCodeOf(async () => (await import("./commands/schema.ts")).schema));
  return program;
}

/** Commander ends the process with 1 for bad usage; ours is 2. */
async function main(): Promise<void> {
  const program = buildProgram();
  for (const command of [program, ...program.commands]) command.exitOverride();
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
}

// The reader went away, as `head` does: there is nobody left to print for.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});
// Without a reader for its progress a run goes on.
process.stderr.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

await main();
