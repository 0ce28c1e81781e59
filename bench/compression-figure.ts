/**
 * @file `npm run bench:compression:figure -- FOLDER FILE.svg`: the runs of `bench:compression` in FOLDER that
 * have a MACs target, as one figure: the paired drop of top-1 on test against the MACs that are left.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CustomSeriesRenderItem, EChartsOption } from "echarts";
import { CustomChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { compressReport } from "../src/compress/record/compress-report.ts";
import { runPaths } from "../src/runs/folder/run-folder.ts";
import { macsTargets, methods, networks, targetCase } from "./compression-cases.ts";

/** Colours by Okabe and Ito, which colour-blind readers can distinguish; in grey the symbols differ. */
const looks = {
  importance: { color: "#0072b2", symbol: "circle" },
  bn: { color: "#d55e00", symbol: "rect" },
  magnitude: { color: "#009e73", symbol: "triangle" },
  random: { color: "#666666", symbol: "diamond" },
} as const;

/** MACs left in percent; drop in points; the ends of its 95 % interval. */
type Point = readonly [macs: number, drop: number, low: number, high: number];

const [panelWidth, height, left, gap] = [400, 380, 56, 40];

async function main([folder, file]: readonly string[]): Promise<void> {
  if (file === undefined) throw new Error("usage: bench:compression:figure -- FOLDER FILE.svg");
  const curves = await Promise.all(
    networks.flatMap((network, panel) =>
      methods.map(async (method) => {
        const points = macsTargets.map((macs) =>
          pointOf(join(folder, targetCase(network, method, macs))),
        );
        return { panel, method, points: [[100, 0, 0, 0] as Point, ...(await Promise.all(points))] };
      }),
    ),
  );
  use([CustomChart, LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);
  const width = left + networks.length * (panelWidth + gap);
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  chart.setOption(optionOf(curves));
  const title = `<title>Drop of top-1 on test against multiply-accumulates left</title>`;
  await writeFile(file, `${chart.renderToSVGString().replace(/(?<=^<svg[^>]*>)/, title)}\n`);
  chart.dispose();
}

async function pointOf(run: string): Promise<Point> {
  const { baseline, result, drop } = compressReport.parse(
    JSON.parse(await readFile(runPaths(run).report, "utf8")),
  );
  if (drop.value === null || drop.ci95 === null) throw new Error(`${run} was not tested`);
  const [low, high] = drop.ci95;
  return [(100 * result.macs) / baseline.macs, 100 * drop.value, 100 * low, 100 * high];
}

function optionOf(
  curves: readonly { panel: number; method: keyof typeof looks; points: readonly Point[] }[],
): EChartsOption {
  const axis = { nameLocation: "middle", nameTextStyle: { color: "#333" } } as const;
  const points = curves.flatMap(({ points: own }) => own);
  const [least, most] = [
    3 * Math.floor(Math.min(...points.map(([, , low]) => low)) / 3),
    3 * Math.ceil(Math.max(...points.map(([, , , high]) => high)) / 3),
  ];
  return {
    animation: false,
    backgroundColor: "#fff",
    textStyle: { fontFamily: "sans-serif" },
    legend: { top: 4, data: [...methods], icon: "inherit" },
    title: networks.map((name, panel) => ({
      text: name,
      left: left + panel * (panelWidth + gap) + 8,
      top: 34,
      textStyle: { fontSize: 14 },
    })),
    grid: networks.map((_, panel) => ({
      left: left + panel * (panelWidth + gap),
      width: panelWidth,
      top: 60,
      bottom: 50,
    })),
    xAxis: networks.map((_, gridIndex) => ({
      ...axis,
      gridIndex,
      type: "value",
      inverse: true,
      min: 30,
      max: 100,
      nameGap: 28,
      axisLine: { onZero: false },
      position: "bottom",
      name: "multiply-accumulates left (%)",
    })),
    yAxis: networks.map((_, gridIndex) => ({
      ...axis,
      gridIndex,
      type: "value",
      inverse: true,
      min: least,
      max: most,
      position: "left",
      interval: 3,
      axisLine: { onZero: false },
      ...(gridIndex === 0 && { name: "drop of top-1 on test (points)", nameGap: 36 }),
    })),
    series: curves.flatMap(({ panel, method, points: own }) => [
      {
        type: "line",
        name: method,
        xAxisIndex: panel,
        yAxisIndex: panel,
        symbolSize: 8,
        ...looks[method],
        itemStyle: { color: looks[method].color },
        data: own.map(([macs, drop]) => [macs, drop]),
      },
      {
        type: "custom",
        xAxisIndex: panel,
        yAxisIndex: panel,
        renderItem: interval,
        itemStyle: { color: looks[method].color },
        data: own.map((point) => [...point]),
      },
    ]),
  };
}

/** A vertical line from one end of the interval to the other. */
const interval: CustomSeriesRenderItem = (_, api) => {
  const [x, low] = api.coord([api.value(0), api.value(2)]);
  const [, high] = api.coord([api.value(0), api.value(3)]);
  const stroke = api.visual("color");
  return {
    type: "line",
    shape: { x1: x, y1: low, x2: x, y2: high },
    style: { lineWidth: 1, ...(stroke !== undefined && { stroke }) },
  };
};

await main(process.argv.slice(2));
