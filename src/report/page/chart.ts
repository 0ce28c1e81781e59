/**
 * @file Charts: drawn by ECharts as SVG without a browser, twice each, for wide and for narrow screens.
 * Their colours are variables of the page's style, so that they follow it into dark mode and print.
 */
import type { EChartsOption, LineSeriesOption } from "echarts";
import { shorten } from "../../words/text.ts";
import { drawSvg } from "./chart-library.ts";
import { type Html, html, trusted } from "./html.ts";

/** What a chart is drawn for. */
export interface Canvas {
  readonly width: number;
  readonly isNarrow: boolean;
}

/** A chart. */
export interface Chart {
  /** Unique on its page. */
  readonly id: string;
  /** What it shows, for those who do not see it. */
  readonly label: string;
  /** Across the page, or half of it. */
  readonly span: "full" | "half";
  /** Height in pixels. */
  readonly height: (canvas: Canvas) => number;
  readonly option: (canvas: Canvas) => EChartsOption;
}

/** Width of a chart on a narrow screen: a phone of 360 pixels less its margins. */
const narrowWidth = 328;
const wideWidth = { full: 928, half: 448 } as const;

/** Pixels that a letter of a chart takes at most on average: ECharts cannot measure the reader's font. */
const letterWidth = 7.6;

/** The value of a style variable. */
export function ink(name: string): string {
  return `var(--${name})`;
}

/** The chart in both sizes, of which the style shows one. The same chart gives the same text. */
export function drawChart({ id, label, span, height, option }: Chart): Html {
  const draw = (canvas: Canvas, name: "wide" | "narrow"): Html => {
    const size = { width: canvas.width, height: height(canvas) };
    const svg = drawSvg(size, {
      animation: false,
      textStyle: { fontFamily: "inherit", fontSize: 12 },
      ...option(canvas),
    });
    return html`<svg class="${name}" role="img" aria-label="${label}" viewBox="0 0 ${size.width} ${size.height}" width="${size.width}" height="${size.height}">${trusted(tidied(svg, `${id}-${name}`))}</svg>`;
  };
  return html`<div class="chart">${draw({ width: wideWidth[span], isNarrow: false }, "wide")}
${draw({ width: narrowWidth, isNarrow: true }, "narrow")}</div>`;
}

/**
 * The inside of ECharts' drawing without what only its scripts would use, and with names that are the
 * chart's own: ECharts counts its drawings from the start of the process.
 */
function tidied(svg: string, id: string): string {
  return svg
    .replace(/^<svg[^>]*>|<\/svg>\s*$/g, "")
    .replace(/<style[^>]*>[\s\S]*?<\/style>/g, "")
    .replace(/ (?:ecmeta_\w+|class|pointer-events)="[^"]*"/g, "")
    .replace(/\bzr\d+-/g, `${id}-`)
    .replace(/ style="font-size:12px;font-family:inherit;"/g, "")
    .replace(/\n+/g, "\n");
}

/** An axis of numbers: its title, and how they are written. */
export interface NumberAxis {
  readonly title: string;
  readonly write: (value: number) => string;
  readonly min?: number;
  readonly max?: number;
  /** From large to small. */
  readonly isInverse?: boolean;
  /** Between ticks. */
  readonly interval?: number;
  /** Places are whole numbers, and the axis ends between them. */
  readonly isWhole?: boolean;
}

/** Round ends of a scale that holds `low` and `high`, and the distance of about four ticks on it. */
export function roundScale(
  low: number,
  high: number,
): { readonly min: number; readonly max: number; readonly interval: number } {
  const rough = Math.max(high - low, 1e-9) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const interval = power * ([1, 2, 5].find((step) => step * power >= rough * 0.999) ?? 10);
  return {
    min: interval * Math.floor(low / interval + 1e-6),
    max: interval * Math.ceil(high / interval - 1e-6),
    interval,
  };
}

/** Room for axes and titles. */
const grid = {
  left: 10,
  right: 18,
  top: 34,
  bottom: 30,
  outerBoundsMode: "same",
  outerBoundsContain: "axisLabel",
} as const;

const label = { color: ink("muted"), fontSize: 12, hideOverlap: true } as const;

/** The axes of a plane; the vertical one has its title above it. */
export function planeOf(
  x: NumberAxis,
  y: NumberAxis,
  { width, isNarrow }: Canvas,
): Pick<EChartsOption, "grid" | "title" | "xAxis" | "yAxis"> {
  const axis = ({ write, min, max, isInverse, interval, isWhole }: NumberAxis) =>
    ({
      type: "value",
      scale: true,
      axisTick: { show: false },
      ...(min !== undefined && { min }),
      ...(max !== undefined && { max }),
      ...(isInverse && { inverse: true }),
      ...(interval !== undefined && { interval }),
      ...(isWhole && { minInterval: 1 }),
      axisLabel: {
        ...label,
        formatter: write,
        ...(isWhole && { showMinLabel: false, showMaxLabel: false }),
      },
    }) as const;
  return {
    grid,
    title: titleOf(shorten(y.title, Math.floor(width / letterWidth))),
    xAxis: {
      ...axis(x),
      splitNumber: isNarrow ? 3 : 6,
      name: shorten(x.title, Math.floor(width / letterWidth)),
      nameLocation: "middle",
      nameGap: 28,
      nameTextStyle: { color: ink("muted"), fontSize: 12 },
      axisLine: { show: true, lineStyle: { color: ink("muted") }, onZero: false },
      splitLine: { show: false },
    },
    yAxis: {
      ...axis(y),
      splitNumber: 4,
      // On the left also where x goes from large to small.
      position: "left",
      axisLine: { show: false },
      splitLine: { lineStyle: { color: ink("grid") } },
    },
  };
}

/** The title of a vertical axis, above it. */
function titleOf(text: string): NonNullable<EChartsOption["title"]> {
  return {
    text,
    left: 4,
    top: 0,
    padding: 0,
    textStyle: { color: ink("muted"), fontSize: 12, fontWeight: "normal" },
  };
}

/** A horizontal line and its name, on the left of it: above where x goes up, below where it goes down. */
export function levelLine(
  value: number,
  name: string,
  position: "insideStartTop" | "insideEndBottom",
): NonNullable<LineSeriesOption["markLine"]> {
  return {
    // ECharts would round the value to two places.
    silent: true,
    symbol: "none",
    animation: false,
    precision: 12,
    lineStyle: { color: ink("bad"), type: [6, 4], width: 1.5 },
    label: {
      formatter: name,
      position,
      color: ink("bad"),
      fontSize: 12,
      textBorderWidth: 3,
      textBorderColor: ink("page"),
    },
    data: [{ yAxis: value }],
  };
}

/** What all series have in common: none of them answers the mouse. */
export const still = { silent: true, emphasis: { disabled: true } } as const;
