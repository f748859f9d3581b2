// Run events -> lines. On a terminal the running stages stand in a live block below the finished ones; elsewhere each
// stage is a line when it starts and ends, with a progress line now and then.

import type { Outcome, Progress, RunEvent, Skipped } from "../pipeline/events.ts";
import { describeReason } from "../pipeline/planner.ts";
import { shortDigest } from "../util/digest.ts";
import { formatBytes, formatCount, formatDuration } from "../util/format.ts";

const PROGRESS_LINE_MS = 15_000;
const REDRAW_MS = 100;
const BAR_WIDTH = 20;
const NAMES_SHOWN = 3;

export interface RendererOptions {
  /** Where lines go: standard error, so that --json on standard output stays clean. */
  readonly write: (text: string) => void;
  /** A terminal that understands cursor movement. */
  readonly live: boolean;
  /** Width of the terminal. */
  readonly width: number;
  /** Milliseconds, for rates and throttling. */
  readonly now: () => number;
}

interface Running {
  readonly startedAt: number;
  progress: Progress | undefined;
  /**
   * First progress event of the current pass: rates are measured from there, so that a resumed run does not look faster
   * than it is, and a second pass over the same bytes not slower.
   */
  first: { readonly at: number; readonly done: number } | undefined;
  lastLineAt: number;
}

export class Renderer {
  private readonly running = new Map<string, Running>();
  private blockLines = 0;
  private drawnAt = 0;

  constructor(private readonly options: RendererOptions) {}

  readonly onEvent = (event: RunEvent): void => {
    switch (event.type) {
      case "started": {
        const now = this.options.now();
        this.running.set(event.id, { startedAt: now, progress: undefined, first: undefined, lastLineAt: now });
        const again = event.attempt > 1 ? `, attempt ${event.attempt}` : "";
        if (this.options.live) this.redraw(true);
        else this.line(`  start   ${event.id}  (${describeReason(event.reason)}${again})`);
        break;
      }
      case "progress":
        this.progress(event);
        break;
      case "waiting":
        this.line(`  wait    ${event.id}  another process runs it (${event.holder})`);
        break;
      case "log":
        if (event.level === "warn") this.line(`  warn    ${event.id}: ${event.message}`);
        break;
      case "divergent":
        this.line(
          `  DIVERGENT ${event.id}: output ${event.output} was ${shortDigest(event.recorded)}, is now ${shortDigest(event.found)}; the ${event.kept} one is kept`,
        );
        break;
      case "measure":
        break;
      default:
        this.running.delete(event.id);
        this.line(outcomeLine(event));
    }
  };

  /** Remove the live block. */
  close(): void {
    this.erase();
  }

  private progress(event: Progress): void {
    const running = this.running.get(event.id);
    if (!running) return;
    const now = this.options.now();
    const isNewPass = event.done < (running.progress?.done ?? 0);
    running.progress = event;
    if (isNewPass || !running.first) running.first = { at: now, done: event.done };
    if (this.options.live) this.redraw(false);
    else if (now - running.lastLineAt >= PROGRESS_LINE_MS) {
      running.lastLineAt = now;
      this.line(`  ...     ${event.id}  ${this.describe(running)}`);
    }
  }

  private describe({ progress, first }: Running): string {
    if (!progress || !first) return "starting";
    const { done, total, unit, note } = progress;
    const share = total > 0 ? ` ${Math.floor((100 * done) / total)} %` : "";
    const seconds = (this.options.now() - first.at) / 1000;
    const rate = seconds > 0 ? (done - first.done) / seconds : 0;
    const left = rate > 0 && total > done ? `, ${formatDuration(((total - done) / rate) * 1000)} left` : "";
    const speed = rate > 0 ? `, ${unit === "bytes" ? formatBytes(rate) : `${formatCount(rate)} ${unit}`}/s` : "";
    return `${formatCount(done)}/${formatCount(total)} ${unit}${share}${speed}${left}${note ? `, ${note}` : ""}`;
  }

  private line(text: string): void {
    this.erase();
    this.options.write(`${text}\n`);
    if (this.options.live) this.redraw(true);
  }

  private redraw(force: boolean): void {
    const now = this.options.now();
    if (!force && now - this.drawnAt < REDRAW_MS) return;
    this.drawnAt = now;
    this.erase();
    const lines = [...this.running].map(([id, running]) => this.liveLine(id, running));
    this.blockLines = lines.length;
    if (lines.length > 0) this.options.write(`${lines.join("\n")}\n`);
  }

  private liveLine(id: string, running: Running): string {
    const { progress } = running;
    const share = progress && progress.total > 0 ? progress.done / progress.total : 0;
    const filled = Math.round(share * BAR_WIDTH);
    const bar = `[${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}]`;
    return `  ${bar} ${id}  ${this.describe(running)}`.slice(0, this.options.width - 1);
  }

  private erase(): void {
    if (this.blockLines === 0) return;
    this.options.write(`\x1b[${this.blockLines}A\x1b[0J`);
    this.blockLines = 0;
  }
}

function outcomeLine(event: Outcome): string {
  switch (event.type) {
    case "fresh":
      return `  fresh   ${event.id}`;
    case "cached":
      return `  cached  ${event.id}  ${event.from === "store" ? "restored from the store" : "made by another process"}`;
    case "ran":
      return `  ran     ${event.id}  ${formatDuration(event.durationMs)}`;
    case "skipped":
      return `  skipped ${event.id}  ${skipReason(event)}`;
    case "failed": {
      const { message, code, hint } = event.error;
      const details = [hint, event.log && `Log: ${event.log}`].filter((text) => text !== undefined && text !== "");
      // A command's own complaint stands in its log alone.
      const isTold = event.error.expected && code !== "COMMAND_FAILED";
      const tail = isTold ? [] : event.lastLines.map((text) => `| ${text}`);
      return [`  FAILED  ${event.id}: ${message} (${code})`, ...details, ...tail]
        .flatMap((text) => text!.split("\n"))
        .join("\n          ");
    }
  }
}

function skipReason({ reason }: Skipped): string {
  if (reason.kind === "upstream-failed") return `needs ${someOf(reason.stages)}, which failed`;
  if (reason.kind === "stopped-after-failure") return `not started after ${reason.stage} failed (--keep-going goes on)`;
  return reason.wasRunning ? "interrupted, continues from its work folder" : "not started before the interruption";
}

/** `a, b, c and 17 more` */
function someOf(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN).join(", ");
  return names.length > NAMES_SHOWN ? `${shown} and ${names.length - NAMES_SHOWN} more` : shown;
}

/** `2 ran, 8 fresh` in the order of the outcomes. */
export function summarise(outcomes: readonly Outcome[]): string {
  const order = ["ran", "cached", "fresh", "failed", "skipped"] as const;
  const counts = order.map((type) => [outcomes.filter((outcome) => outcome.type === type).length, type] as const);
  const parts = counts.filter(([count]) => count > 0).map(([count, type]) => `${count} ${type}`);
  return parts.length > 0 ? parts.join(", ") : "no stages";
}
