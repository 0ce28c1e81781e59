/** @file `espalier bench`: the latency of networks on this machine. */
import { Command } from "commander";
import type { BenchResult } from "../../measure/latency/bench.ts";
import type { OperatorTimes, OperatorTimesOptions } from "../../measure/latency/operators.ts";
import type { TimedNetwork } from "../../measure/latency/pair.ts";
import { counted, formatMs } from "../../words/numbers.ts";
import { speedOf } from "../../words/speed.ts";
import { escapeForTerminal, wrap } from "../../words/text.ts";
import { addFlags, asText, type FlagsOf, toggle, value } from "../options/flag.ts";
import { inHost, noIsolateFlags } from "../options/isolation.ts";
import { jsonFlags, load, modelFlags, threadsFlags } from "../options/model-options.ts";
import { integerFrom, positiveValue } from "../options/values.ts";
import { explained } from "../terminal/help.ts";
import { interruptible } from "../terminal/interruptible.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress } from "../terminal/progress.ts";
import { drawTable } from "../terminal/table.ts";
import { describeOperators } from "../texts/operators-report.ts";

/** The flags of `espalier bench`. */
export const flags = {
  "Options:": {
    runs: value(
      "n",
      integerFrom(1),
      "Timed runs of each network. Default: as many as fit into --seconds.",
    ),
    seconds: value(
      "s",
      positiveValue,
      "Time for all runs together; more time narrows the intervals. Default: 5.",
    ),
    batch: value("n", integerFrom(1), "Samples per run. Default: 1."),
    profile: toggle(
      "Times each operator as well, and shows those that differ most between two models.",
    ),
    provider: value("name", asText, "Execution provider of ONNX Runtime. Default: cpu."),
    ...modelFlags,
    ...threadsFlags,
    ...noIsolateFlags,
    ...jsonFlags,
  },
};

/** Flags of `espalier bench`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
With two models the runs alternate, so that whatever slows the machine slows
both. OTHER is faster or slower where the whole interval of the ratio OTHER / MODEL
lies below or above 1; where the interval contains 1, no difference is shown, and
more --seconds narrow it. Without --runs and --seconds it takes 5 seconds. Close
other programs first.

--profile shows the operators as ONNX Runtime runs them: what it fuses counts as one
operator, and what it inserts, such as changes of layout, is counted by type.

Examples:
  espalier bench net.onnx
  espalier bench net.onnx small.onnx --threads 1 --profile
  espalier bench net.onnx small.onnx --batch 32 --runs 200 --json`;

/** The command. */
export function benchCommand(io: Io): Command {
  const command = new Command("bench")
    .argument("<MODEL>", "ONNX file")
    .argument("[OTHER]", "ONNX file to compare with it")
    .description("Measures latency: medians with intervals, and the ratio of two networks.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action((path: string, other: string | undefined, given: Flags) =>
    inHost(given, () => run(other === undefined ? [path] : [path, other], given, io), io.signal),
  );
}

/** Time for the profiles, where --seconds does not say. */
const profileSeconds = 2;

async function run(paths: readonly string[], flags: Flags, io: Io): Promise<void> {
  const progress = newProgress(io);
  try {
    progress.phase("reading");
    const networks = await Promise.all(paths.map((path) => networkOf(path, flags)));
    const { bench } = await import("../../measure/latency/bench.ts");
    io.signal.throwIfAborted();
    progress.phase("timing");
    const { batch, threads, dims } = flags;
    const providers = flags.provider === undefined ? undefined : [flags.provider];
    const how = { batch, threads, dims, providers, signal: io.signal };
    const result = await bench(
      networks.map(({ name, source: model }) => ({ name, model })),
      {
        ...how,
        runs: flags.runs,
        seconds: flags.seconds,
        onProgress: ({ fraction }) => progress.step({ done: fraction, total: 1 }),
      },
    );
    let operators: readonly OperatorTimes[] | undefined;
    if (flags.profile) {
      progress.phase("timing operators");
      const seconds = flags.seconds ?? profileSeconds;
      operators = await operatorsOf(networks, result, { ...how, seconds });
    }
    progress.end();
    if (flags.json) writeJson(io, { ...summary(result), ...(operators && { operators }) });
    else {
      const own = operators && describeOperators(operators, result.models.length > 1, io);
      io.out(describe(result, io) + (own ?? ""));
    }
  } finally {
    progress.end();
  }
}

/** Reads a network, and refuses one that is too large to be run. */
async function networkOf(
  path: string,
  flags: Flags,
): Promise<TimedNetwork & { readonly name: string }> {
  const { writeModel } = await import("../../onnx/writing/write.ts");
  const { requireRunnable } = await import("../../measure/inputs/run-size.ts");
  const model = await load(path, flags);
  interruptible(() => requireRunnable(model.graph, flags.dims));
  return { name: path, graph: model.graph, source: writeModel(model).chunks };
}

/** The operators of both networks, or of one beside itself. */
async function operatorsOf(
  [first, second = first]: readonly TimedNetwork[],
  { models }: BenchResult,
  how: OperatorTimesOptions,
): Promise<readonly OperatorTimes[]> {
  const { operatorTimes } = await import("../../measure/latency/operators.ts");
  const [{ medianMs }] = models;
  return operatorTimes(
    { ...first, medianMs },
    { ...second, medianMs: models.at(-1)?.medianMs ?? medianMs },
    how,
  );
}

/** `ci95` is the interval of the ratio for two networks, and of the median for one. */
function summary({ models, ratios, threads, provider, blocks }: BenchResult) {
  const [first] = models;
  const [ratio] = ratios;
  return {
    medianMs: first.medianMs,
    ...(ratio && { ratio: ratio.ratio, verdict: ratio.verdict }),
    ci95: ratio ? ratio.ci95 : first.ci95,
    threads,
    provider,
    blocks,
    models,
  };
}

function describe({ models, ratios, threads, provider }: BenchResult, io: Io): string {
  const names = endingsOf(models.map(({ name }) => name));
  const table = drawTable(
    [
      { title: "model", isFlexible: true },
      { title: "median", align: "right" },
      { title: "95 % interval", align: "right" },
      { title: "runs", align: "right" },
    ],
    models.map(({ medianMs, ci95, runs }, i) => [
      names[i],
      formatMs(medianMs),
      `${formatMs(ci95[0])} to ${formatMs(ci95[1])}`,
      String(runs),
    ]),
    io,
  );
  const [first, ...others] = names.map(escapeForTerminal);
  const speeds = ratios.map((ratio, i) => {
    const { predicate, interval } = speedOf(ratio);
    return `${wrap(`${others[i]} ${predicate(first)} (${interval})`, io.columns, "  ")}\n`;
  });
  const inputs = [...models[0].inputs].map(([, shape]) => shape.join(" x ")).join(", ");
  return `${table}${speeds.join("")}input ${inputs}, ${counted(threads, "thread")}, ${provider}\n`;
}

/** The shortest endings of the paths that differ: `model.onnx` of two runs gets the name of its run. */
export function endingsOf(paths: readonly string[]): readonly string[] {
  const parts = paths.map((path) => path.split(/[/\\]+/).filter((part) => part !== ""));
  const deepest = Math.max(...parts.map((own) => own.length));
  for (let length = 1; length <= deepest; length++) {
    const endings = parts.map((own) => own.slice(-length).join("/"));
    if (new Set(endings).size === paths.length) return endings;
  }
  return paths.map((path, i) => (paths.indexOf(path) < i ? `${path} (again)` : path));
}
