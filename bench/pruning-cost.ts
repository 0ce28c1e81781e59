/**
 * @file `npm run bench:pruning [-- --blocks 50,100,200] [--widths 64,128,256]`: CPU seconds of each part of pruning without
 * data, over the depth and over the width of networks, and the exponents with which they grow. Each network has a process
 * of its own. The times of small networks hold what compiling the code takes.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bn } from "../src/methods/bn.ts";
import { fpgm } from "../src/methods/fpgm.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { cutsInOrder, meeting } from "../src/prune/cut-order.ts";
import { damageOfPruned } from "../src/prune/damage.ts";
import { budgetsOf, finishPruning } from "../src/prune/prune.ts";
import { verifyPruned } from "../src/prune/verify.ts";
import { leastEnough } from "../src/structure/choice/shortest-prefix.ts";
import { structureOf } from "../src/structure/units/units.ts";
import { plain, residual } from "../test/support/normalized-networks.ts";
import { tableLine } from "./table-cells.ts";

const list = { type: "string" } as const;
const { values: args } = parseArgs({ options: { blocks: list, widths: list, measure: list } });
const numbersOf = (text: string): readonly number[] => text.split(",").map(Number);

/** Channels of the networks whose depth grows, and layers of those whose width grows. */
const channels = 16;
const layers = 4;

const kinds = {
  blocks: (blocks: number) => residual(channels, blocks),
  widths: (width: number) => plain(width, layers),
};
type Kind = keyof typeof kinds;

/** CPU seconds of the parts of pruning one network to half its multiply-accumulates. */
type Costs = Readonly<Record<string, number>>;

async function measure(kind: Kind, size: number): Promise<Costs> {
  const bytes = concatBytes(encodeGraph(kinds[kind](size)));
  const costs: Record<string, number> = {};
  const timed = async <T>(part: string, work: () => T | Promise<T>): Promise<T> => {
    const before = process.cpuUsage();
    const result = await work();
    const { user, system } = process.cpuUsage(before);
    costs[part] = (user + system) / 1e6;
    return result;
  };
  const rules = { roundTo: "auto" } as const;
  const model = await timed("reading", () => readModel(bytes));
  const structure = await timed("analysis", () => structureOf(model.graph));
  const context = { structure, seed: 0, options: {}, rules };
  await timed("fpgm", () => fpgm.propose(context));
  const proposal = await timed("bn", () => bn.propose(context));
  const isMet = meeting(budgetsOf(structure, { macs: 0.5 }));
  const { removed } = await timed("selection", () =>
    leastEnough(cutsInOrder(structure, proposal, rules), isMet),
  );
  const edits = await timed("compensation", () => proposal.edits(removed));
  const choice = { method: "bn", removed, edits, isReached: true, missed: [], notes: [] };
  const pruned = await timed("surgery, writing", () => finishPruning(model, structure, choice));
  await timed("verification", () => verifyPruned(model, pruned));
  await timed("comparison", () => damageOfPruned(model, pruned));
  return costs;
}

function isKind(name: string): name is Kind {
  return name in kinds;
}

/** A table of one kind of network: a line for each part, with the exponent between the two largest sizes. */
function table(kind: Kind, sizes: readonly number[]): void {
  const file = fileURLToPath(import.meta.url);
  const all = sizes.map((size): Costs => {
    const own = [...process.execArgv, file, "--measure", `${kind}:${size}`];
    return JSON.parse(execFileSync(process.execPath, own, { encoding: "utf8" }));
  });
  const say = (cells: readonly (string | number)[]) =>
    process.stdout.write(`${tableLine(cells)}\n`);
  say([kind, ...sizes, "exponent"]);
  say(["---", ...sizes.map(() => "---:"), "---:"]);
  for (const part of Object.keys(all[0] ?? {})) {
    const seconds = all.map((costs) => costs[part]);
    const growth = Math.log((seconds.at(-1) ?? 0) / (seconds.at(-2) ?? 0));
    const exponent = growth / Math.log((sizes.at(-1) ?? 0) / (sizes.at(-2) ?? 0));
    say([part, ...seconds.map((each) => each.toFixed(2)), exponent.toFixed(1)]);
  }
  process.stdout.write("\n");
}

if (args.measure === undefined) {
  table("blocks", numbersOf(args.blocks ?? "50,100,200"));
  table("widths", numbersOf(args.widths ?? "64,128,256"));
} else {
  const [kind, size] = args.measure.split(":");
  if (!isKind(kind)) throw new Error(`no kind of network: ${kind}`);
  process.stdout.write(JSON.stringify(await measure(kind, Number(size))));
  process.exit(0);
}
