// When to look whether a result has come: rarely, since each look is a call of the driver, and yet so that it is found at most a
// sixteenth of its time late. Steps take equally long: nobody looks before the next result is nearly due.

const NEARLY = 0.9;
const LATE = 1 / 16;
const LEAST_MS = 1;
/** A first step, or one behind an evaluation, says little of those to come. */
const MOST_MS = 100;

export class Looks {
  /** When the wait for the next result began. */
  private since = 0;
  /** How long the last one took. */
  private period = 0;

  /** Something is waited for, where nothing was before. */
  begin(now: number): void {
    this.since = now;
  }

  /** So many results were there at a look, others may follow. */
  found(results: number, now: number): void {
    if (results === 0) return;
    this.period = (now - this.since) / results;
    this.since = now;
  }

  /** Milliseconds until the next look. */
  delay(now: number): number {
    const waited = now - this.since;
    const left = NEARLY * this.period - waited;
    return Math.min(Math.max(left > 0 ? left : LATE * waited, LEAST_MS), MOST_MS);
  }
}
