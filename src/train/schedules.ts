// Learning rate by step: linear warm-up, then one of these shapes. Steps count from 0.

export interface ScheduleOptions {
  readonly steps: number;
  readonly warmupSteps: number;
  readonly learningRate: number;
  /** Where the decaying schedules end. */
  readonly minLearningRate: number;
}

export type Schedule = (step: number, options: ScheduleOptions) => number;

/** Warm-up that already moves at step 0 and reaches the full rate at step warmupSteps - 1. */
function warm(after: Schedule): Schedule {
  return (step, options) =>
    step < options.warmupSteps ? (options.learningRate * (step + 1)) / options.warmupSteps : after(step, options);
}

/** Share of the way from the end of the warm-up to the last step, 0..1. */
function progress(step: number, { steps, warmupSteps }: ScheduleOptions): number {
  return Math.min(1, (step - warmupSteps) / Math.max(1, steps - 1 - warmupSteps));
}

/** Part of the run over which `wsd` cools down   (Hägele et al. 2024, section 4: a fifth of the steps is enough). */
const COOLDOWN = 0.2;

/** By name in pipeline.yaml. */
export const schedules = {
  constant: warm((_, { learningRate }) => learningRate),

  /** Cosine that reaches minLearningRate at the last step   (Loshchilov & Hutter 2017). */
  cosine: warm((step, options) => {
    const { learningRate, minLearningRate } = options;
    return minLearningRate + 0.5 * (learningRate - minLearningRate) * (1 + Math.cos(Math.PI * progress(step, options)));
  }),

  /**
   * The paper's code, with its two oddities: step 0 has rate 0, and the cosine is stretched over `steps` rather than
   * over what is left after the warm-up, so it never reaches minLearningRate.
   */
  "cosine-stlm": (step, { steps, warmupSteps, learningRate, minLearningRate }) => {
    if (step < warmupSteps) return (learningRate * step) / warmupSteps;
    const turn = (Math.PI * (step - warmupSteps)) / steps;
    return minLearningRate + 0.5 * (learningRate - minLearningRate) * (1 + Math.cos(turn));
  },

  /** Warm-up, stable, then a straight line down over the last fifth   (Hu et al. 2024). */
  wsd: warm((step, { steps, warmupSteps, learningRate, minLearningRate }) => {
    const cooldown = Math.max(1, Math.min(Math.round(steps * COOLDOWN), steps - warmupSteps));
    const done = Math.max(0, step - (steps - 1 - cooldown)) / cooldown;
    return learningRate + (minLearningRate - learningRate) * Math.min(1, done);
  }),

  /** learningRate sqrt(warmupSteps / step)   (Vaswani et al. 2017, section 5.3), not below minLearningRate. */
  "inverse-sqrt": warm((step, { warmupSteps, learningRate, minLearningRate }) =>
    Math.max(minLearningRate, learningRate * Math.sqrt(Math.max(1, warmupSteps) / (step + 1))),
  ),
} as const satisfies Record<string, Schedule>;

export type ScheduleName = keyof typeof schedules;

export const scheduleNames = Object.keys(schedules) as [ScheduleName, ...ScheduleName[]];
