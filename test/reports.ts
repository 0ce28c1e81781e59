/** @file Reports of compressions as a run writes them, made up: figures of the right size, from a seed. */
import {
  type CompressReport,
  compressReport,
  type RoundRecord,
} from "../src/compress/record/compress-report.ts";
import { copyScript } from "../src/report/page/copy-script.ts";
import type { Examples } from "../src/report/sections/examples.ts";
import { randomOf } from "../src/tensor/random.ts";

function measuredOf(value: number, samples: number) {
  const half = 1.96 * Math.sqrt((value * (1 - value)) / samples);
  return {
    value,
    ci95: [value - half, Math.min(1, value + half)],
    loss: 2.2 * (1 - value),
    samples,
  };
}

function epochsOf(count: number, from: number, to: number, metric: string) {
  const random = randomOf("epochs", count, from, to);
  return Array.from({ length: count }, (_, i) => {
    const share = 1 - Math.exp((-3 * (i + 1)) / count);
    const value = from + (to - from) * share + 0.003 * (random.uniform() - 0.5);
    return {
      epoch: i + 1,
      step: 80 * (i + 1),
      rate: 0.01 * (1 - i / count),
      loss: 1.6 * (1 - value) + 0.02,
      accuracy: Math.min(1, value + 0.04),
      select: { metric, value, loss: 2 * (1 - value) },
    };
  });
}

const passed = { maxError: 2.4e-7, samples: 64, passed: true };

interface Step {
  readonly macs: number;
  readonly removed: number;
  readonly tuned: number;
  /** Why it was not accepted. */
  readonly reason?: string;
}

function roundOf(
  round: number,
  steps: readonly Step[],
  start: number,
  task: { readonly metric: string; readonly samples: number },
) {
  const isAccepted = steps.some(({ reason }) => reason === undefined);
  const remainingOf = ({ macs }: Step) => ({ macs, params: 0.92 * macs });
  return {
    round,
    isAccepted,
    remaining: remainingOf(steps[steps.length - 1]),
    attempts: steps.map((step) => ({
      units: Math.round(900 * (1 - step.macs)),
      remaining: remainingOf(step),
      removed: measuredOf(step.removed, task.samples),
      tuned: measuredOf(step.tuned, task.samples),
      drop: start - step.tuned,
      upper: start - step.tuned + 0.008,
      tuning: epochsOf(6, step.removed, step.tuned, task.metric),
      verification: passed,
      isAccepted: step.reason === undefined,
      ...(step.reason !== undefined && { reason: step.reason }),
    })),
    search: [0.2, 0.1, 0.04, 0.02].map((away, i) => ({
      units: 40 * (i + 1),
      macs: Math.min(1, steps[0].macs + away),
      drop: start - steps[0].removed - 3 * away * (start - steps[0].removed),
    })),
    learning: epochsOf(4, start - 0.03, start - 0.01, task.metric),
    posterior: undefined,
    notes: [],
    warnings: undefined,
  } satisfies Record<keyof RoundRecord, unknown>;
}

function binsOf(shift: number, samples: number) {
  return Array.from({ length: 15 }, (_, i) => {
    const confidence = (i + 0.5) / 15;
    const count = i < 4 ? 0 : Math.round((samples * i ** 3) / 9000);
    return {
      confidence,
      accuracy: Math.max(0, confidence - shift * (1 - confidence)),
      samples: count,
    };
  });
}

function uncertaintyOfClasses() {
  const estimate = (value: number, half: number) => ({ value, ci95: [value - half, value + half] });
  const side = (value: number, nll: number) => ({
    value: estimate(value, 0.013),
    nll: estimate(nll, 0.04),
    brier: estimate(nll / 2.6, 0.02),
    ece: estimate(nll / 8, 0.01),
    selective: {
      coverage: [1, 0.9, 0.8, 0.7, 0.5].map((share) => ({
        share,
        accuracy: estimate(1 - (1 - value) * share ** 3, 0.008),
      })),
      riskArea: estimate(nll / 30, 0.003),
    },
  });
  const change = (nll: number) => ({
    value: estimate(-0.002, 0.0073),
    nll: estimate(nll, 0.02),
    brier: estimate(nll / 3, 0.01),
    ece: estimate(nll / 8, 0.006),
    riskArea: estimate(nll / 30, 0.002),
  });
  return {
    before: side(0.9293, 0.31),
    after: side(0.9273, 0.29),
    change: change(-0.02),
    posterior: { draws: 20, figures: side(0.928, 0.24), change: change(-0.05) },
  };
}

const cifar = "airplane automobile bird cat deer dog frog horse ship truck".split(" ");

/** ResNet-56 on CIFAR-10, three rounds accepted, certified. */
export function certifiedReport(): CompressReport {
  const metric = "top1";
  const select = measuredOf(0.931, 1000);
  const round = (number: number, steps: readonly Step[]) =>
    roundOf(number, steps, select.value, { metric, samples: 1000 });
  const names = Array.from(
    { length: 55 },
    (_, i) => `/layer${1 + Math.floor(i / 18)}/${i % 18}/conv`,
  );
  const widthOf = (i: number) => 16 * 2 ** Math.min(2, Math.floor(i / 18));
  const shareOf = (i: number) => 0.3 + 0.5 * Math.abs(Math.sin(i * 0.9));
  const text = {
    command: "compress",
    version: 1,
    network: "models/akamaster_resnet56_bn.onnx",
    method: "importance",
    methodOptions: { initial: "l2", penalty: "0.0001" },
    seed: 0,
    task: "classification",
    metric,
    hasLabels: true,
    classNames: cifar,
    asked: { maxDrop: 0.01, confidence: 0.95 },
    samples: { fit: 41_667, select: 1000, certify: 2500, test: 1500 },
    baseline: {
      value: 0.9293,
      ci95: [0.915, 0.941],
      loss: 0.31,
      samples: 1500,
      select,
      macs: 125_485_696,
      params: 853_018,
      sizeBytes: 3_489_213,
      latencyMs: 5.83,
    },
    result: {
      value: 0.9273,
      ci95: [0.913, 0.939],
      loss: 0.29,
      samples: 1500,
      select: measuredOf(0.927, 1000),
      macs: 58_978_277,
      params: 401_118,
      sizeBytes: 1_662_113,
      latencyMs: 3.07,
    },
    latency: { ratio: 0.527, ci95: [0.518, 0.536], threads: 2, provider: "cpu" },
    drop: {
      value: 0.002,
      ci95: [-0.0053, 0.0093],
      certified: true,
      words:
        "Certified with 95 % confidence: the drop of accuracy is at most 1 point (0.16 points observed on 2,500 images of certify, up to 0.83 points).",
    },
    looks: [
      {
        round: 2,
        level: 0.025,
        drop: 0.0004,
        upper: 0.0061,
        samples: 2500,
        passed: true,
        ladder: "main",
      },
      {
        round: 3,
        level: 0.025,
        drop: 0.0016,
        upper: 0.0083,
        samples: 2500,
        passed: true,
        ladder: "main",
      },
    ],
    rounds: [
      round(1, [{ macs: 0.78, removed: 0.91, tuned: 0.932 }]),
      round(2, [{ macs: 0.6, removed: 0.862, tuned: 0.93 }]),
      round(3, [
        {
          macs: 0.42,
          removed: 0.61,
          tuned: 0.912,
          reason: "the drop of 1.90 points is beyond the tolerance",
        },
        { macs: 0.47, removed: 0.744, tuned: 0.927 },
      ]),
    ],
    chosenRound: 3,
    outcome: {
      isReached: true,
      isTimeSpent: false,
      words:
        "Certified with 95 % confidence: the drop of accuracy is at most 1 point (0.16 points observed on 2,500 images of certify, up to 0.83 points).",
    },
    groups: names.map((name, i) => ({
      id: `g${i}`,
      layers: i % 18 === 0 ? [name, `${name}2`, `${name}3`] : [name],
      before: widthOf(i),
      after: Math.round(widthOf(i) * shareOf(i)),
    })),
    layers: names.map((name, i) => ({
      name,
      opType: "Conv",
      before: { macs: 2_359_296, params: 9 * widthOf(i) ** 2 },
      after: {
        macs: Math.round(2_359_296 * shareOf(i) ** 2),
        params: Math.round(9 * (widthOf(i) * shareOf(i)) ** 2),
      },
    })),
    packing: {
      bytes: 352_418,
      bitsPerWeight: 7.03,
      parts: { structure: 3102, supports: 0, codes: 348_101.5, tables: 0, framing: 1214.5 },
      layers: names.map((name, i) => {
        const weights = Math.round(9 * (widthOf(i) * shareOf(i)) ** 2);
        const bytes = { supports: i % 7, codes: (7 * weights) / 8, tables: 0 };
        return { layer: name, weights, density: 0.99, bytesBefore: 4 * weights, ...bytes };
      }),
      others: { tensors: 110, bytesBefore: 24_000, supports: 0, codes: 6200.25, tables: 0 },
    },
    verification: { maxError: 4.1e-7, samples: 256, passed: true },
    calibration: {
      before: { ece: 0.0441, bins: binsOf(0.35, 1500) },
      after: { ece: 0.0263, bins: binsOf(0.12, 1500) },
    },
    uncertainty: uncertaintyOfClasses(),
    classes: cifar.map((name, label) => ({
      label,
      name,
      samples: 150,
      before: 0.9 + 0.01 * (label % 7),
      after: 0.9 + 0.01 * (label % 7) - 0.004 * ((label * 3) % 5) + 0.004,
    })),
    sensitivity: names.slice(0, 27).map((_, i) => ({
      id: `g${2 * i}`,
      points: [0.125, 0.25, 0.5, 0.75].map((share) => ({
        share,
        drop: 0.09 * share ** 2 * (0.15 + Math.abs(Math.cos(2.3 * i)) ** 3),
      })),
    })),
    digests: { original: "9f2c".repeat(16), model: "41d0".repeat(16), data: "7be3".repeat(16) },
    notes: [],
    warnings: [],
  };
  return compressReport.parse(text);
}

/** U-Net on images of cells; the tolerance could not be certified, and the last round failed. */
export function uncertifiedReport(): CompressReport {
  const metric = "miou";
  const select = measuredOf(0.861, 54);
  const round = (number: number, steps: readonly Step[]) =>
    roundOf(number, steps, select.value, { metric, samples: 54 });
  const places = ["down1", "down2", "down3", "down4", "middle", "up4", "up3", "up2", "up1"];
  const names = places.flatMap((place) => [`${place}.conv1`, `${place}.conv2`]);
  const widthOf = (i: number) => 32 * 2 ** Math.min(Math.floor(i / 2), 8 - Math.floor(i / 2));
  const shareOf = (i: number) => 0.35 + 0.06 * ((i * 5) % 9);
  const text = {
    command: "compress",
    version: 1,
    network: "runs/unet-cells/model.onnx",
    method: "importance",
    methodOptions: {},
    seed: 1,
    task: "segmentation",
    metric,
    hasLabels: true,
    classNames: ["background", "nucleus"],
    asked: { macs: 0.15, maxDrop: 0.005, confidence: 0.95 },
    samples: { fit: 402, select: 54, certify: 107, test: 107 },
    baseline: {
      value: 0.8571,
      ci95: [0.8412, 0.8705],
      loss: 0.091,
      samples: 107,
      select,
      macs: 3_421_000_000,
      params: 7_762_465,
      sizeBytes: 31_083_211,
      latencyMs: 118.4,
    },
    result: {
      value: 0.8524,
      ci95: [0.8365, 0.8662],
      loss: 0.094,
      samples: 107,
      select: measuredOf(0.856, 54),
      macs: 813_000_000,
      params: 1_634_119,
      sizeBytes: 6_561_807,
      latencyMs: 39.1,
    },
    latency: { ratio: 0.331, ci95: [0.322, 0.341], threads: 2, provider: "cpu" },
    drop: {
      value: 0.0047,
      ci95: [-0.0008, 0.0103],
      certified: false,
      words:
        "Not certified: a drop of mean IoU of 0.21 points observed on 107 images of certify, which is within the tolerance of 0.5 points, but so few images leave room for a drop up to 0.97 points. It would take about 640 images to certify it.",
    },
    looks: [
      {
        round: 1,
        level: 0.025,
        drop: 0.0021,
        upper: 0.0097,
        samples: 107,
        passed: false,
        ladder: "main",
      },
      {
        round: 1,
        level: 0.025,
        drop: 0.0014,
        upper: 0.0081,
        samples: 107,
        passed: false,
        ladder: "milder",
      },
    ],
    rounds: [
      round(1, [{ macs: 0.44, removed: 0.79, tuned: 0.862 }]),
      round(2, [{ macs: 0.24, removed: 0.55, tuned: 0.856 }]),
      round(3, [
        {
          macs: 0.14,
          removed: 0.31,
          tuned: 0.838,
          reason: "the drop of 2.30 points is beyond the tolerance",
        },
        {
          macs: 0.19,
          removed: 0.41,
          tuned: 0.846,
          reason: "the drop of 1.50 points is beyond the tolerance",
        },
      ]),
    ],
    chosenRound: 2,
    outcome: {
      isReached: false,
      isTimeSpent: true,
      words:
        "The time budget was spent. The target for multiply-accumulates was missed: 23.8 % are left.",
    },
    groups: names.map((name, i) => ({
      id: `g${i}`,
      layers: [name],
      before: widthOf(i),
      after: Math.round(widthOf(i) * shareOf(i)),
    })),
    layers: names.map((name, i) => ({
      name,
      opType: "Conv",
      before: { macs: 190_000_000, params: 9 * widthOf(i) ** 2 },
      after: {
        macs: Math.round(190_000_000 * shareOf(i) ** 2),
        params: Math.round(9 * (widthOf(i) * shareOf(i)) ** 2),
      },
    })),
    packing: { skipped: "packing more than 16 MB takes a while" },
    verification: { maxError: 8.8e-7, samples: 32, passed: true },
    calibration: null,
    uncertainty: null,
    classes: [
      { label: 0, name: "background", samples: 1_489_113, before: 0.953, after: 0.951 },
      { label: 1, name: "nucleus", samples: 263_975, before: 0.761, after: 0.753 },
    ],
    sensitivity: null,
    digests: { original: "03ab".repeat(16), model: "c4f1".repeat(16), data: "55d7".repeat(16) },
    notes: ["the first convolution keeps all channels, because a skip connection adds the image"],
    warnings: [
      "the original is 2.4 points better on select than on test: it may have seen these images in its training",
    ],
  };
  return compressReport.parse(text);
}

/** Round cells; the original misses a rim, the compressed network a wider one and sometimes a cell. */
export function cellExamples(count = 4, side = 96): Examples {
  const random = randomOf("cells", count, side);
  const images = new Uint8Array(count * side * side * 3);
  const maps = [0, 0, 0].map(() => new Uint8Array(count * side * side));
  for (let n = 0; n < count; n++) {
    const cells = Array.from({ length: 7 }, () => ({
      x: side * random.uniform(),
      y: side * random.uniform(),
      radius: side * (0.06 + 0.08 * random.uniform()),
    }));
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) {
        const at = (n * side + y) * side + x;
        const depth = Math.max(...cells.map((c) => c.radius - Math.hypot(x - c.x, y - c.y)));
        const lost = cells[0].radius - Math.hypot(x - cells[0].x, y - cells[0].y) > -2;
        const light = 30 + 20 * random.uniform() + (depth > 0 ? 130 : 0);
        images.set([light, 0.8 * light, 1.1 * light], 3 * at);
        maps[0][at] = depth > 0 ? 1 : 0;
        maps[1][at] = depth > 1.2 ? 1 : 0;
        maps[2][at] = depth > 0.6 && !(lost && n % 2 === 1) ? 1 : 0;
      }
  }
  const [truth, original, compressed] = maps;
  return { count, height: side, width: side, images, truth, original, compressed };
}

/** What a run's `config.json` holds. */
export const someConfig = {
  version: 1,
  command: "compress",
  network: "models/akamaster_resnet56_bn.onnx",
  versions: {
    espalier: "0.1.0",
    node: "v20.20.2",
    onnxruntime: "1.30.0",
    platform: "linux x64",
    cpu: "Some CPU @ 2.50GHz",
  },
  externalData: false,
  data: { path: "/data/cifar10", digest: "7be3".repeat(16), options: { heldOut: true } },
  settings: { method: "importance", targets: {}, maxDrop: 0.01, confidence: 0.95, rounds: 5 },
};

/** What is drawn beside a report. */
export const someExtras = {
  config: someConfig,
  run: "run",
  data: "/data/cifar10",
  again: "espalier compress run/original.onnx --data /data/cifar10 --max-drop 0.01 -o run-again",
};

/** A page without the one script that is its own: nothing else in it may run. */
export function withoutOwnScript(page: string): string {
  return page.replace(`<script>${copyScript}</script>`, "");
}

/** A compression without test data that accepted nothing, on data without labels. */
export function emptyReport(): CompressReport {
  const report = certifiedReport();
  const { select } = report.baseline;
  const side = { ...report.baseline, value: null, ci95: null, loss: null, samples: 0, select };
  return compressReport.parse({
    ...report,
    baseline: side,
    result: side,
    hasLabels: false,
    metric: "agreement",
    asked: { confidence: 0.95 },
    latency: { ...report.latency, ratio: 1, ci95: [0.99, 1.01] },
    drop: { value: null, ci95: null, certified: false, words: "No tolerance was asked for." },
    looks: [],
    rounds: [],
    chosenRound: 0,
    groups: [],
    layers: [],
    classes: [],
    outcome: {
      isReached: false,
      isTimeSpent: false,
      words: "The original is returned as it was: nothing smaller held.",
    },
    calibration: null,
    uncertainty: null,
    sensitivity: null,
    notes: [],
    warnings: [],
    packing: undefined,
  });
}

/** What a hostile file could bring as a name. */
export const hostileName =
  `<script>alert(1)</script>"'><img src=x onerror=alert(2)>\u202egnp.\u2066 ]]></style></svg><!-- ` +
  `\u0000\ud800 &amp; \${7*7} ${"x".repeat(10_000)}end`;

/** A report in which every text is {@link hostileName}. */
export function hostileReport(report: CompressReport): CompressReport {
  const kept = new Set(["command", "task", "metric", "ladder"]);
  const poison = (value: unknown, key: string): unknown => {
    if (typeof value === "string") return kept.has(key) ? value : hostileName;
    if (Array.isArray(value)) return value.map((item) => poison(item, key));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, poison(inner, name)]),
    );
  };
  return compressReport.parse({
    ...Object(poison(report, "")),
    methodOptions: { [hostileName]: hostileName },
  });
}

/** A round of a method that learns a posterior, of groups with these names. */
export function learntRound(names: readonly string[]): RoundRecord {
  const select = { metric: "top1", value: 0.9, loss: 0.3 };
  const groups = names.map((id, i) => ({
    id,
    units: 8,
    dead: i,
    kl: { kept: [0, 1, 2, 3 - (i % 2)], removed: [2 + (i % 2), 0, 0, 0] },
    snr: { kept: [0, 2, 2, 2 - (i % 2)], removed: [1 + (i % 2), 1, 0, 0] },
  }));
  const [round] = certifiedReport().rounds;
  return {
    ...round,
    learning: [1, 2, 3].map((epoch) => ({
      epoch,
      step: 80 * epoch,
      rate: 0.001,
      loss: 2 / epoch,
      terms: { kl: 1 / epoch },
      select: {
        ...select,
        facts: {
          kl: 900 / epoch,
          "snr p50": 3,
          ...Object.fromEntries(names.map((id, i) => [`alive ${id}`, 8 - Math.min(i, epoch)])),
        },
      },
    })),
    posterior: { kl: { from: -1, to: 2.5 }, snr: { from: -2, to: 1 }, groups },
  };
}
