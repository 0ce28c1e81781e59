/**
 * @file What is taken of Apache ECharts: a drawing surface without a browser. In the package this file holds the
 * library itself, in as far as it is used here (`scripts/build.ts`).
 */
import type { EChartsOption } from "echarts";
import { LineChart, ScatterChart } from "echarts/charts";
import {
  GridComponent,
  MarkAreaComponent,
  MarkLineComponent,
  TitleComponent,
} from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

/** A drawing of this size as SVG. The same options give the same text, but for names that are counted. */
export function drawSvg(
  { width, height }: { readonly width: number; readonly height: number },
  options: EChartsOption,
): string {
  use([
    ...[LineChart, ScatterChart, SVGRenderer],
    ...[GridComponent, MarkAreaComponent, MarkLineComponent, TitleComponent],
  ]);
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  chart.setOption(options);
  const svg = chart.renderToSVGString({ useViewBox: true });
  chart.dispose();
  return svg;
}
