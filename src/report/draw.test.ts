/** @file The page of a compression: what it says, and that it is safe and always the same. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  cellExamples,
  certifiedReport,
  emptyReport,
  hostileName,
  hostileReport,
  someExtras,
  uncertifiedReport,
  withoutOwnScript,
} from "../../test/reports.ts";
import { type CompressReport, compressReport } from "../compress/record/compress-report.ts";
import { drawReport, type Extras } from "./draw.ts";

/** Text of a page as a reader sees it, without markup. */
function textOf(page: string): string {
  return page
    .replace(/<style>[\s\S]*?<\/style>|<script>[\s\S]*?<\/script>|<svg[\s\S]*?<\/svg>/g, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    .replace(/[\s\u00a0]+/g, " ");
}

const draw = (report: CompressReport, extras: Partial<Extras> = {}) =>
  drawReport(report, { ...someExtras, ...extras });
const headings = (page: string) =>
  [...page.matchAll(/<h2[^>]*>(.*?)<\/h2>/g)].map(([, heading]) => heading);

it("draws a run of 2,000 attempts; a report of more is no report", () => {
  const report = certifiedReport();
  const [round] = report.rounds;
  const withAttempts = (length: number) => {
    const attempts = Array.from({ length }, () => round.attempts[0]);
    return { ...report, rounds: [{ ...round, attempts, search: [] }] };
  };
  expect(headings(draw(withAttempts(2000)))).toContain("What each step cost");
  expect(compressReport.safeParse(withAttempts(2000)).success).toBe(true);
  expect(compressReport.safeParse(withAttempts(2001)).success).toBe(false);
});

describe("the page of a certified classifier", () => {
  const report = certifiedReport();
  const page = draw(report);
  const text = textOf(page);

  it("says what was reached", () => {
    expect(text).toContain("akamaster_resnet56_bn");
    expect(text).toContain(
      "keeps 47 % of its multiply-accumulates (MACs) and 47 % of its parameters",
    );
    expect(text).toContain("runs 1.90 times as fast");
    expect(text).toContain("Accuracy on 1,500 test images: 92.93 % → 92.73 %");
    expect(text).toContain(
      "Certified with 95 % confidence: the drop of accuracy is at most 1 point",
    );
    expect(text).toContain("−0.20 points 95 %: −0.93 to +0.53");
    expect(text).not.toContain("Not all was reached");
  });

  it("has a section for each thing that was measured", () => {
    expect(headings(page)).toEqual([
      "Ready to ship",
      "What each step cost",
      "Layer by layer",
      "Quality in detail",
      "What the network can do without",
      "Training",
      "How it was checked",
      "To repeat it, or go on",
    ]);
  });

  it("shows charts in two sizes, each with what it shows in words", () => {
    const charts = [
      ...page.matchAll(/<svg class="(wide|narrow)" role="img" aria-label="([^"]+)"/g),
    ];
    expect(charts).toHaveLength(12);
    expect(charts[0][2]).toContain("accuracy on select against the multiply-accumulates");
  });

  it("draws the tolerance where it is on the scale", () => {
    const [chart] = page.match(/<svg class="wide"[\s\S]*?<\/svg>/) ?? [""];
    const tick = (label: string) => {
      const [, y] =
        new RegExp(`translate\\([\\d.]+ ([\\d.]+)\\)"[^>]*>${label}\u00a0%<`).exec(chart) ?? [];
      return Number(y);
    };
    const [, line] =
      /<path d="M[\d.]+ ([\d.]+)L[^"]*"[^>]*stroke-dasharray="6,4"/.exec(chart) ?? [];
    const { baseline, asked } = report;
    const value = 100 * (baseline.select.value - (asked.maxDrop ?? 0));
    const expected = tick("92") + ((value - 92) / (94 - 92)) * (tick("94") - tick("92"));
    expect(Math.abs(Number(line) - expected)).toBeLessThan(1);
  });

  it("tells why an attempt was not accepted, and how to repeat it", () => {
    expect(text).toContain("not accepted The drop of 1.90 points is beyond the tolerance.");
    expect(text).toContain("0.16 0.83 97.5 % 2,500 within");
    for (const part of [
      report.digests.model,
      "importance initial=l2",
      "v20.20.2",
      "data.options.heldOut",
    ])
      expect(text).toContain(part);
  });

  it("is the same text each time, and all its identifiers differ", () => {
    expect(draw(report)).toBe(page);
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const uses = [...page.matchAll(/url\(#([^)]+)\)|href="#([^"]+)"/g)].map(([, a, b]) => a ?? b);
    expect(uses.filter((id) => !ids.includes(id))).toEqual([]);
  });

  it("says which rate of an epoch it shows", () => {
    expect(text).toContain("part epoch steps rate, last step loss accuracy on select");
  });

  it("has one interval for the drop, wherever it stands", () => {
    const intervals = [...text.matchAll(/−0\.20 points (?:95 %: |\()(\S+ to [+−\d.]+)/g)];
    expect(intervals.map(([, ends]) => ends)).toEqual([
      "−0.93 to +0.53",
      "−0.93 to +0.53",
      "−0.93 to +0.53",
    ]);
  });

  it("ends with commands to copy, each of which is one line", () => {
    const commands = [...page.matchAll(/<div class="command"><code>([^<]*)<\/code>/g)].map(
      ([, command]) => command,
    );
    expect(commands).toEqual([
      "espalier pack run -o run.esp",
      "espalier bench run/original.onnx run/model.onnx",
      "espalier verify run",
      "espalier compress run/original.onnx --data /data/cifar10 --max-drop 0.01 -o run-again",
      "espalier train run/model.onnx --data /data/cifar10 --distill run/original.onnx -o run-tuned",
    ]);
    expect(page.match(/<button /g)).toHaveLength(5);
  });

  it("has one row for each layer, with a bar for each figure", () => {
    const [section] = /<section id="layers"[\s\S]*?<\/section>/.exec(page) ?? [""];
    const [shown, all] = section.split("<details>");
    expect([shown, all].map((part) => part.match(/<th scope="row"/g)?.length)).toEqual([8, 55]);
    expect(shown.match(/<div class="bar"/g)).toHaveLength(8 * 4);
    const { groups, layers } = report;
    expect(textOf(all)).toContain(`${layers[1].name} ${groups[1].before} → ${groups[1].after} `);
  });

  it("loads nothing, and runs nothing but the script that its policy names by its digest", () => {
    const [, script] = /<script>([\s\S]*?)<\/script>/.exec(page) ?? [];
    const digest = createHash("sha256").update(script).digest("base64");
    expect(page).toContain(
      `content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-${digest}';`,
    );
    expect(script).not.toMatch(/fetch|XMLHttpRequest|import|eval|location|src/);
    expect(withoutOwnScript(page)).not.toMatch(
      /<script|<iframe|<object|<embed|\son\w+=|@import|javascript:/i,
    );
    const addresses = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => address);
    expect(addresses.filter((address) => !/^(#|data:)/.test(address))).toEqual([]);
    expect(page).not.toMatch(/url\((?!#)/);
  });
});

it("says first how many weights are left where single ones went, and what they take when packed", () => {
  const layer = (weights: number, nonZero: number) => ({
    weights,
    nonZero,
    neurons: 10,
    empty: 0,
    clusters: 10,
  });
  const sparsity = [
    { layer: "fc1", before: layer(9000, 8000), after: layer(6000, 200) },
    { layer: "fc2", before: layer(1000, 1000), after: layer(1000, 120) },
  ];
  const report = { ...certifiedReport(), sparsity };
  const text = textOf(draw(report));
  // 320 of 10,000; the pack has 352,418 bytes of 3,489,213.
  expect(text).toContain("It keeps 3.2 % of its weights (the others are 0, or gone), 47 % of its");
  expect(text).toContain("Weights that are not 0 320 was 9.00 K 3.2 % of all weights");
  expect(text).toMatch(/If packed 352 kB was 3\.49 MB 9\.9 times less/);
  const unpacked = { ...report, packing: { skipped: "packing takes a while" } };
  expect(textOf(draw(unpacked))).not.toContain("If packed");
  expect(textOf(draw({ ...report, chosenRound: 0 }))).not.toContain("the others are 0, or gone");
});

it("says where fewer multiply-accumulates brought no speed, and what may help", () => {
  const report = certifiedReport();
  const pageWith = (ratio: number) => {
    const slowerOperators =
      ratio > 1
        ? [
            {
              name: "conv1",
              opType: "Conv",
              isInserted: false,
              count: { before: 1, after: 1 },
              beforeMs: 0.1,
              afterMs: 0.2,
            },
          ]
        : [];
    const ci95: [number, number] = [ratio - 0.05, ratio + 0.05];
    const latency = { ratio, ci95, threads: 2, provider: "cpu", slowerOperators };
    return textOf(draw({ ...report, latency }));
  };
  expect(pageWith(1.1)).toContain("conv1 (Conv): 0.100 ms before, 0.200 ms now");
  expect(pageWith(1.1)).toContain("multiples of 8 or 16 (--round-to)");
  expect(pageWith(1.1)).toContain("and is slower: it takes 1.10 times as long");
  expect(pageWith(0.97)).toContain("multiples of 8 or 16 (--round-to)");
  expect(pageWith(0.97)).toContain("and shows no difference in speed");
  expect(pageWith(0.97)).toContain("no difference shown 95 %: 0.98 to 1.09 times as fast");
  expect(pageWith(0.97)).not.toMatch(/\d times as fast \.|slower/);
  expect(pageWith(0.6)).not.toContain("--round-to");
});

it("has no figure of latency where none was measured", () => {
  const { latency: _, ...report } = certifiedReport();
  const side = ({ latencyMs: _ms, ...figures }: typeof report.baseline) => figures;
  const [baseline, result] = [side(report.baseline), side(report.result)];
  const text = textOf(draw({ ...report, baseline, result }));
  expect(text).not.toMatch(/times as fast|latency on|Latency,|undefined/);
  expect(text).toContain("47 % of its multiply-accumulates");
});

describe("the page of an uncertified segmenter", () => {
  const page = draw(uncertifiedReport(), { examples: cellExamples(3, 48) });
  const text = textOf(page);

  it("says what went wrong in plain words", () => {
    expect(text).toContain(
      "Not certified : a drop of mean IoU of 0.21 points observed on 107 images",
    );
    expect(text).toContain("Not all was reached. The time budget was spent.");
    expect(headings(page)[0]).toBe("What went wrong, and what to know");
    expect(text).toContain(
      "Round 3 failed: none of 2 attempts was accepted. The last one: the drop of 1.50",
    );
    expect(text).toContain("it may have seen these images in its training.");
  });

  it("leaves out what was not measured", () => {
    expect(headings(page)).not.toContain("Calibration");
    expect(headings(page)).not.toContain("What the network can do without");
  });

  it("shows image, truth, both predictions and their difference, with texts", () => {
    const images = [
      ...page.matchAll(/<img src="data:image\/png;base64,[^"]+"[^>]*\salt="([^"]+)"/g),
    ];
    expect(images).toHaveLength(3 * 5);
    const described = images.slice(5, 10).map(([, alt]) => alt);
    expect(described[1]).toBe("Example 2: the true classes");
    expect(described[3]).toMatch(
      /^Example 2: prediction of the compressed network, [\d.]+.% of pixels right$/,
    );
  });

  it("counts right pixels without those that do not count", () => {
    const size = { count: 1, height: 1, width: 4, images: new Uint8Array(12) };
    const examples = {
      ...size,
      truth: Uint8Array.of(0, 1, 1, 255),
      original: Uint8Array.of(0, 1, 1, 0),
      compressed: Uint8Array.of(0, 1, 0, 0),
    };
    const shown = textOf(draw(uncertifiedReport(), { examples }));
    expect(shown).toContain("original, 100.0 % right");
    expect(shown).toContain("result, 66.7 % right");
    expect(shown).toContain("ignored");
  });

  it("compares the networks where there is no truth", () => {
    const { truth: _, ...unlabelled } = cellExamples(1, 16);
    const shown = draw(uncertifiedReport(), { examples: unlabelled });
    expect([...shown.matchAll(/<img /g)]).toHaveLength(4);
    expect(textOf(shown)).toContain("the same different");
  });
});

describe("a certificate", () => {
  const reportWith = (samples: number) => {
    const { looks, ...report } = certifiedReport();
    return draw({ ...report, looks: looks.map((look) => ({ ...look, samples })) });
  };

  it.each([12, 107, 367])("from %d images is not shown as a sure thing", (samples) => {
    const page = reportWith(samples);
    expect(page).not.toMatch(/class="verdict good"|<b class="good">Certified/);
    expect(headings(page)[0]).toBe("Before you ship it");
  });

  it.each([368, 2500])("from %d images is, within one point", (samples) => {
    const page = reportWith(samples);
    expect(page).toMatch(/class="verdict good"[\s\S]*<b class="good">Certified/);
    expect(headings(page)[0]).toBe("Ready to ship");
  });
});

describe("the page of a compression that gave nothing", () => {
  it("says so, and has no empty chart", () => {
    const page = draw(emptyReport());
    const text = textOf(page);
    expect(text).toContain("akamaster_resnet56_bn is as it was.");
    expect(text).toContain("No round was run");
    expect(text).toContain("The data have no labels");
    expect(text).toContain("There are no test data");
    expect(page).not.toContain('role="img"');
    expect(text).not.toMatch(/NaN|Infinity|undefined|null/);
  });
});

describe("names from files", () => {
  const hostile = { ...hostileReport(certifiedReport()), metric: hostileName };
  const page = draw(hostile, {
    config: { [hostileName]: [hostileName] },
    run: hostileName,
    data: hostileName,
  });

  it("stay text, and short", () => {
    expect(withoutOwnScript(page)).not.toMatch(/<script|<img|<!--|onerror=alert\(2\)>/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(page).not.toMatch(/[\u0000-\u0008\u202a-\u202e\u2066-\u2069\ud800-\udfff]/u);
    expect(page).toContain("&#60;script&#62;");
    expect(page).not.toContain("x".repeat(1001));
    expect(page.length).toBeLessThan(1_000_000);
  });
});
