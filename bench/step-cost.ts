/**
 * @file `npm run bench:step-cost [-- --network NAME ...] [--resnet FILE] [--vgg FILE] [--seconds N] [--memory]`:
 * what a training step of the Bayesian methods costs beside the plain step of tuning. The steps of a network
 * all stay loaded and take turns, so that a busy machine hits all of them; one thread, random batches. What counts
 * is processor time, which on an idle machine is the time that passes.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadModel } from "../src/files/model-file.ts";
import type { Graph } from "../src/ir/graph.ts";
import { median, ratioOfMedians } from "../src/measure/statistics/statistics.ts";
import { buildNetwork } from "../src/models/registry.ts";
import { findBlockSize } from "../src/runtime/block-size.ts";
import { openTrainer, type Trainer } from "../src/runtime/trainer.ts";
import { structureOf } from "../src/structure/units/units.ts";
import type { HostTensor } from "../src/tensor/host-tensor.ts";
import { emitStep } from "../src/train/network/provider-form.ts";
import { peakBytes } from "./peers/machine.ts";
import { batchOf, type Form, formsOf } from "./step-cost-forms.ts";

/** A network, and how it is trained. */
interface Case {
  readonly name: string;
  /** `undefined` where its file is not there. */
  readonly load: () => Promise<Graph | undefined>;
  readonly batch: number;
  /** Samples of an epoch. */
  readonly samples: number;
}

const threads = 1;
/** Turns last about so long. */
const turnMs = 100;
const fewestBlocks = 5;

const text = { type: "string" } as const;
const { values: args } = parseArgs({
  options: {
    network: { type: "string", multiple: true },
    only: { type: "string", multiple: true },
    resnet: text,
    vgg: text,
    seconds: text,
    measure: text,
    memory: { type: "boolean" },
  },
});

/** MNIST has 60,000 images to train on, CIFAR-10 50,000; of the microscopy images 398 are to fit. */
const cases: readonly Case[] = [
  builtIn("LeNet-300-100", "lenet-300-100", 128, 60_000),
  builtIn("LeNet-5-Caffe", "lenet5-caffe", 128, 60_000),
  fromFile("ResNet-20", args.resnet ?? "akamaster_resnet20_bn.onnx", 64, 50_000),
  fromFile("VGG-16-BN", args.vgg ?? "vgg16bn_cifar10.onnx", 64, 50_000),
  {
    name: "U-Net",
    batch: 8,
    samples: 398,
    load: async () => buildNetwork("unet", { seed: 1, width: 32, size: [128, 128] }),
  },
];

function builtIn(name: string, network: string, batch: number, samples: number): Case {
  return { name, load: async () => buildNetwork(network, { seed: 1 }), batch, samples };
}

function fromFile(name: string, file: string, batch: number, samples: number): Case {
  const load = async () => (existsSync(file) ? (await loadModel(file)).graph : undefined);
  return { name, load, batch, samples };
}

/** A step that is loaded. */
interface Runner {
  readonly name: string;
  /**
   * Milliseconds of processor time per step, after some that do not count; the next batch is handed over while a
   * step runs, as in training.
   */
  readonly run: (steps: number, leadIn: number) => Promise<number>;
  readonly close: () => Promise<void>;
}

async function open(graph: Graph, { name, build }: Form, of: Case): Promise<Runner> {
  const { x, y } = batchOf(structureOf(graph), of.batch);
  const step = build();
  const { state, initial, guard, target = "target", loss } = step;
  const model = emitStep(step.graph, {}, await findBlockSize());
  const trainer: Trainer = await openTrainer(model, { state, initial, guard, threads });
  const copyOf = (tensor: HostTensor) => ({ ...tensor, data: tensor.data.slice() });
  const post = () => {
    const feeds: [string, HostTensor][] = [
      [graph.inputs[0], copyOf(x)],
      [target, copyOf(y)],
    ];
    return trainer.step(new Map([...feeds, ...step.scalars(0, 1e-6)]), [loss]);
  };
  return {
    name,
    async run(steps, leadIn) {
      let start = process.cpuUsage();
      let running = post();
      for (let at = 1; at <= leadIn + steps; at++) {
        const next = at < leadIn + steps ? post() : undefined;
        const { status } = await running;
        if (status !== "done") throw new Error(`${of.name}, ${name}: a step was ${status}`);
        if (at === leadIn) start = process.cpuUsage();
        if (next !== undefined) running = next;
      }
      const { user, system } = process.cpuUsage(start);
      return (user + system) / 1000 / steps;
    },
    close: () => trainer.close(),
  };
}

/** Milliseconds per step in each block, by form. Every other block goes through the forms backwards. */
async function takeTurns(runners: readonly Runner[], seconds: number) {
  const turns: number[] = [];
  for (const { run } of runners)
    turns.push(Math.max(1, Math.min(100, Math.round(turnMs / (await run(1, 1))))));
  const series = runners.map((): number[] => []);
  const order = [...runners.keys()];
  const start = performance.now();
  const isOver = () => performance.now() - start > 1000 * seconds;
  for (let blocks = 0; blocks < fewestBlocks || !isOver(); blocks++)
    // The first of many short steps finds the caches of another form.
    for (const i of blocks % 2 === 0 ? order : order.toReversed())
      series[i].push(await runners[i].run(turns[i], turns[i] > 1 ? 1 : 0));
  return series;
}

async function compare(of: Case): Promise<void> {
  const graph = await of.load();
  if (graph === undefined) {
    print(`${of.name}: left out, its file is not there (--resnet FILE, --vgg FILE)`);
    return;
  }
  const isWanted = ({ name }: Form, i: number) =>
    i === 0 || (args.only?.some((part) => name.includes(part)) ?? true);
  const forms = formsOf(graph, of).filter(isWanted);
  const memory = args.memory ? forms.map(({ name }) => peakAlone(of, name)) : undefined;
  const runners: Runner[] = [];
  for (const form of forms) runners.push(await open(graph, form, of));
  const series = await takeTurns(runners, Number(args.seconds ?? 30));
  for (const runner of runners) await runner.close();
  for (const [i, { name }] of runners.entries()) {
    const ms = median(series[i]);
    const { value, ci95 } = ratioOfMedians(series[i], series[0]);
    const ends = ci95.map((end) => end.toFixed(2)).join(" to ");
    const ratio = i === 0 ? "1" : `${value.toFixed(2)} (${ends})`;
    const epoch = (ms * Math.floor(of.samples / of.batch)) / 1000;
    row([
      ...[of.name, name, ms.toPrecision(3), ratio, epoch.toPrecision(3)],
      ...(memory ? [String(Math.round(memory[i] / 1e6))] : []),
    ]);
  }
}

/** Peak bytes of a process that runs nothing but some steps of one form. */
function peakAlone(of: Case, form: string): number {
  const output = execFileSync(
    process.execPath,
    [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)].concat(
      ...["--network", of.name, "--measure", form],
    ),
    { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
  );
  return Number(output);
}

async function measure(of: Case, wanted: string): Promise<void> {
  const graph = await of.load();
  const form = graph && formsOf(graph, of).find(({ name }) => name === wanted);
  if (graph === undefined || form === undefined) return;
  const { run, close } = await open(graph, form, of);
  await run(4, 0);
  print(String(peakBytes()));
  await close();
}

function row(cells: readonly string[]): void {
  print(`| ${cells.join(" | ")} |`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const named = args.network;
if (args.measure !== undefined) {
  const of = cases.find(({ name }) => name === named?.at(-1));
  if (of !== undefined) await measure(of, args.measure);
} else {
  const unit = args.memory ? ["MB"] : [];
  const heads = ["network", "step", "ms", "ratio to plain", "seconds an epoch", ...unit];
  row(heads);
  row(heads.map(() => "---"));
  for (const of of cases) if (named?.includes(of.name) ?? true) await compare(of);
}
process.exit();
