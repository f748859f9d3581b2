// The report's figures as SVG, drawn without a browser (Observable Plot over linkedom). The same data give the same
// bytes: no clip paths (Plot numbers them by a global counter), fixed sizes, labels placed by arithmetic.

import type * as PlotModule from "@observablehq/plot";
import type { ReportDatabase } from "./db.ts";
import { formatNumber } from "./markdown.ts";

/** Okabe & Ito 2008: eight colours that colour-blind readers can tell apart; yellow left out, too faint on white. */
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
const GRAY = "#666666";
const FONT = 13;
const LABEL_GAP = 16;
const STYLE = {
  color: "#222222",
  fontSize: `${FONT}px`,
  fontFamily: "Helvetica, Arial, sans-serif",
};

type Plot = typeof PlotModule;
interface Tools {
  readonly Plot: Plot;
  readonly document: ReturnType<typeof import("linkedom")["parseHTML"]>["document"];
}

async function tools(): Promise<Tools> {
  const [Plot, { parseHTML }] = await Promise.all([import("@observablehq/plot"), import("linkedom")]);
  return { Plot, document: parseHTML("<html><body></body></html>").document };
}

export interface Figure {
  readonly file: string;
  readonly alt: string;
  readonly caption: string;
  readonly svg: string;
}

interface CurvePoint {
  readonly arm: string;
  readonly tokens: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** Validation bits per byte over training; undefined without any measured point. */
export async function curveFigure(database: ReportDatabase): Promise<Figure | undefined> {
  const points = (await database.query(`
    SELECT arm, c.tokens / 1e6 AS tokens, avg(val_bits_per_byte) AS mean, min(val_bits_per_byte) AS low,
           max(val_bits_per_byte) AS high
    FROM curves c JOIN trainings t USING (training) JOIN arms USING (arm)
    WHERE val_bits_per_byte IS NOT NULL AND status = 'completed'
    GROUP BY arm, position, c.tokens ORDER BY position, c.tokens`)) as unknown as CurvePoint[];
  if (points.length === 0) return undefined;
  const diverged = await divergedCurves(database);
  const unigram = await unigramOf(database);
  const { Plot, document } = await tools();
  const arms = [...new Set(points.map(({ arm }) => arm))];
  const labels = arms.map((arm) => points.findLast((point) => point.arm === arm)!);
  const height = 400;
  const margins = { marginTop: 34, marginBottom: 44, marginLeft: 56, marginRight: 180 };
  const lows = points.map(({ low }) => low);
  const top = Math.max(...points.map(({ high }) => high), unigram ?? 0);
  const bottom = Math.min(...lows);
  const pad = (top - bottom || 1) * 0.04;
  const domain: [number, number] = [bottom - pad, top + pad];
  const perPixel = (domain[1] - domain[0]) / (height - margins.marginTop - margins.marginBottom);
  const ends = labels.map(({ mean }) => mean);
  // The control's label stands in the same margin, so it is placed with the models'.
  const placed = spreadLabels(unigram === undefined ? ends : [...ends, unigram], LABEL_GAP * perPixel, domain);
  const color = (arm: string) => COLORS[arms.indexOf(arm) % COLORS.length]!;
  const end = Math.max(...points.map(({ tokens }) => tokens));

  const svg = Plot.plot({
    document,
    width: 760,
    height,
    ...margins,
    style: STYLE,
    x: {
      label: "training tokens (millions)",
      domain: [0, end || 1],
      labelAnchor: "center",
      grid: false,
      insetLeft: 6,
    },
    y: { label: "validation bits per byte", domain, grid: true },
    marks: [
      ...(unigram === undefined ? [] : unigramMarks(Plot, unigram, placed.at(-1)!)),
      ...arms.flatMap((arm) => {
        const own = points.filter((point) => point.arm === arm);
        return [
          Plot.areaY(own, { x: "tokens", y1: "low", y2: "high", fill: color(arm), fillOpacity: 0.15 }),
          Plot.lineY(own, { x: "tokens", y: "mean", stroke: color(arm), strokeWidth: 2 }),
          Plot.dot(own, { x: "tokens", y: "mean", r: 2.5, fill: color(arm) }),
        ];
      }),
      ...diverged.flatMap(({ arm, points: own }) => [
        Plot.lineY(own, { x: "tokens", y: "value", stroke: color(arm), strokeDasharray: "2,3" }),
        Plot.text(own.slice(-1), { x: "tokens", y: "value", text: () => "✕", fill: color(arm) }),
      ]),
      ...labels.flatMap((point, index) => [
        Plot.text([point], {
          x: () => end,
          y: () => placed[index]!,
          text: () => `${point.arm}  ${formatNumber(point.mean, 3)}`,
          textAnchor: "start",
          dx: 8,
          fill: color(point.arm),
          fontWeight: "bold",
        }),
      ]),
    ],
  });
  return {
    file: "figures/perplexity.svg",
    alt: "Validation bits per byte over training tokens, one line a model",
    caption:
      "Validation bits per byte while training (estimated by the training stage). Lines are means over seeds; bands reach from the best to the " +
      `worst seed.${unigram === undefined ? "" : " The dashed line is the unigram control."}` +
      (diverged.length > 0 ? " Dotted lines that end in ✕ are runs that diverged." : ""),
    svg: serialize(svg),
  };
}

interface DivergedCurve {
  readonly arm: string;
  readonly points: readonly { readonly tokens: number; readonly value: number }[];
}

/** Curves of diverged runs, of arms that have a colour; points above a sane loss would only stretch the axis. */
async function divergedCurves(database: ReportDatabase): Promise<DivergedCurve[]> {
  const rows = await database.query(`
    SELECT any_value(arm) AS arm, list(c.tokens / 1e6 ORDER BY c.tokens) AS tokens,
           list(val_bits_per_byte ORDER BY c.tokens) AS "values"
    FROM curves c JOIN trainings t USING (training)
    WHERE status = 'diverged' AND val_bits_per_byte < (SELECT max(val_bits_per_byte) FROM curves JOIN trainings USING (training)
                                                       WHERE status = 'completed')
          AND arm IN (SELECT arm FROM trainings WHERE status = 'completed')
    GROUP BY training ORDER BY training`);
  return rows.map((row) => {
    const values = row["values"] as number[];
    return {
      arm: row["arm"] as string,
      points: (row["tokens"] as number[]).map((tokens, index) => ({ tokens, value: values[index]! })),
    };
  });
}

interface FinalPoint {
  readonly arm: string;
  readonly value: number;
  readonly se: number | null;
  readonly low: number;
  readonly high: number;
  readonly seeds: readonly number[];
}

/** Final validation bits per byte with intervals; undefined where no model was evaluated. */
export async function finalFigure(database: ReportDatabase): Promise<Figure | undefined> {
  const points = (await database.query(`
    SELECT e.arm, e.value, e.se, coalesce(e.low, e.value) AS low, coalesce(e.high, e.value) AS high,
           list(s.value ORDER BY s.evaluation) AS seeds
    FROM estimates e JOIN arms a USING (arm) JOIN evaluations v USING (arm) JOIN scores s USING (evaluation, metric)
    WHERE e.metric = 'val_bits_per_byte' AND NOT a.control AND NOT v.diverged AND s.value IS NOT NULL
    GROUP BY ALL ORDER BY any_value(a.position)`)) as unknown as FinalPoint[];
  if (points.length === 0) return undefined;
  const unigram = await unigramOf(database);
  const { Plot, document } = await tools();
  const low = Math.min(...points.map((point) => point.low));
  const high = Math.max(...points.map((point) => point.high));
  const span = high - low || 0.1;
  // A unigram model far away would press all intervals into one point: it is then named at the edge instead.
  const near = unigram !== undefined && unigram < high + span;
  const seeds = points.flatMap(({ arm, seeds: values }) => values.map((value) => ({ arm, value })));
  const svg = Plot.plot({
    document,
    width: 760,
    height: 74 + 34 * points.length,
    marginTop: 30,
    marginBottom: 44,
    marginLeft: 150,
    marginRight: 120,
    style: STYLE,
    x: {
      label: "validation bits per byte",
      labelAnchor: "center",
      domain: [low - 0.06 * span, (near ? Math.max(high, unigram) : high) + 0.06 * span],
      grid: true,
    },
    y: { label: null, domain: points.map(({ arm }) => arm), tickSize: 0 },
    marks: [
      ...(near ? [Plot.ruleX([unigram], { stroke: GRAY, strokeDasharray: "4,3" })] : []),
      ...(unigram === undefined
        ? []
        : [
            Plot.text([`unigram ${formatNumber(unigram, 3)}${near ? "" : " →"}`], {
              frameAnchor: "top-right",
              dy: -20,
              fill: GRAY,
            }),
          ]),
      Plot.ruleY(points, { y: "arm", x1: "low", x2: "high", stroke: COLORS[0]!, strokeOpacity: 0.35, strokeWidth: 2 }),
      Plot.ruleY(
        points.filter(({ se }) => se !== null),
        {
          y: "arm",
          x1: (d: FinalPoint) => d.value - d.se!,
          x2: (d: FinalPoint) => d.value + d.se!,
          stroke: COLORS[0]!,
          strokeWidth: 6,
          strokeOpacity: 0.5,
        },
      ),
      Plot.dot(seeds, { y: "arm", x: "value", r: 3, stroke: COLORS[1]!, fill: "white" }),
      Plot.dot(points, { y: "arm", x: "value", r: 5, fill: COLORS[0]! }),
      Plot.text(points, {
        y: "arm",
        frameAnchor: "right",
        dx: 112,
        textAnchor: "end",
        text: (d: FinalPoint) => formatNumber(d.value, 4) + (d.se === null ? "" : ` ± ${formatNumber(d.se, 4)}`),
      }),
    ],
  });
  return {
    file: "figures/final.svg",
    alt: "Final validation bits per byte of each model with intervals",
    caption:
      "Final validation bits per byte. Dot: mean over seeds; rings: single seeds; thick bar: ± one standard " +
      "error over seeds and documents; thin bar: 95 % interval.",
    svg: serialize(svg),
  };
}

function unigramMarks(Plot: Plot, unigram: number, labelAt: number) {
  return [
    Plot.ruleY([unigram], { stroke: GRAY, strokeDasharray: "4,3" }),
    Plot.text([`unigram ${formatNumber(unigram, 3)}`], {
      y: () => labelAt,
      frameAnchor: "right",
      textAnchor: "start",
      dx: 8,
      fill: GRAY,
    }),
  ];
}

async function unigramOf(database: ReportDatabase): Promise<number | undefined> {
  const rows = await database.query(
    "SELECT value FROM estimates WHERE arm = 'unigram' AND metric = 'val_bits_per_byte'",
  );
  return rows[0]?.["value"] as number | undefined;
}

/** Moves label positions apart to at least `gap`, keeping their order and staying inside `domain` where they fit. */
export function spreadLabels(
  values: readonly number[],
  gap: number,
  [bottom, top]: readonly [number, number],
): number[] {
  const order = values.map((_, index) => index).sort((a, b) => values[a]! - values[b]! || a - b);
  const placed = [...values];
  let floor = bottom;
  for (const index of order) {
    placed[index] = Math.max(placed[index]!, floor);
    floor = placed[index]! + gap;
  }
  let ceiling = top;
  for (const index of order.reverse()) {
    placed[index] = Math.min(placed[index]!, ceiling);
    ceiling = placed[index]! - gap;
  }
  return placed;
}

function serialize(svg: { setAttribute(name: string, value: string): void; readonly outerHTML: string }): string {
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  // A rectangle, not a CSS background: every viewer of SVG paints it.
  return `${svg.outerHTML.replace("</style>", '</style><rect width="100%" height="100%" fill="white"/>')}\n`;
}
