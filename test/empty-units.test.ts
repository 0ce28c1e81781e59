/**
 * @file Units that zeros leave superfluous go without any change of what a network computes: over random
 * graphs, and over networks of the papers, against onnxruntime.
 */
import fc from "fast-check";
import { expect, it, test } from "vitest";
import type { Graph } from "../src/ir/graph.ts";
import { randomFeeds } from "../src/measure/inputs/feeds.ts";
import { constantsOf, emptyUnits } from "../src/methods/compensation/empty-units.ts";
import { buildNetwork } from "../src/models/registry.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { withSession } from "../src/runtime/session.ts";
import { removeUnits } from "../src/structure/change/surgery.ts";
import type { SelectionRules } from "../src/structure/choice/selection-rules.ts";
import { structureOf } from "../src/structure/units/units.ts";
import { applyEdits } from "../src/structure/weights/edits.ts";
import { weightConstants } from "../src/structure/weights/layer-weights.ts";
import { withZeros } from "../src/structure/weights/zeros.ts";
import { type HostTensor, sizeOf, toNumbers } from "../src/tensor/host-tensor.ts";
import { type RandomKey, randomOf } from "../src/tensor/random.ts";
import { buildProgram, programs } from "./random-graphs.ts";
import { differenceOf } from "./support/difference.ts";

/** Zeros in whole slices along either of the first axes, and here and there. */
function riddled(graph: Graph, seed: RandomKey, share = 0.4): Graph {
  const random = randomOf(seed, "riddled");
  const zeros = new Map<string, Uint8Array>();
  for (const [name, { shape }] of weightConstants(graph)) {
    const inner = sizeOf(shape.slice(2));
    const [rows, columns] = [0, 1].map((axis) =>
      Array.from({ length: shape[axis] }, () => random.uniform() < share),
    );
    zeros.set(
      name,
      Uint8Array.from({ length: sizeOf(shape) }, (_, i) => {
        const pair = Math.floor(i / inner);
        const isInside = rows[Math.floor(pair / shape[1])] || columns[pair % shape[1]];
        return isInside || random.uniform() < 0.2 ? 1 : 0;
      }),
    );
  }
  return withZeros(graph, zeros);
}

/** The network without its superfluous units. */
function emptied(graph: Graph, rules: SelectionRules = {}) {
  const structure = structureOf(graph);
  const { removed, edits } = emptyUnits(structure, rules);
  const edited = structureOf(applyEdits(graph, edits), structure.analysis);
  return { small: removeUnits(edited, removed), removed, edits, structure };
}

async function outputsOf(graph: Graph, feeds: ReadonlyMap<string, HostTensor>) {
  return withSession(
    encodeGraph(graph).chunks,
    { optimization: "disabled", threads: 1 },
    (session) => session.run(feeds),
  );
}

/** The largest difference between two networks, over max |output|. */
async function errorOf(a: Graph, b: Graph, feeds: ReadonlyMap<string, HostTensor>) {
  const [expected, actual] = [await outputsOf(a, feeds), await outputsOf(b, feeds)];
  const errors = [...expected].map(([name, tensor]) => {
    const { largest } = differenceOf([tensor], [actual.get(name)]);
    const magnitude = Math.max(...toNumbers(tensor).map(Math.abs));
    return largest === 0 ? 0 : largest / magnitude;
  });
  return Math.max(...errors);
}

const runs = Number(process.env.ESPALIER_RANDOM_GRAPHS ?? 120);

test(`what is superfluous goes without a trace, on ${runs} random graphs`, async () => {
  let [removedUnits, foldedUnits] = [0, 0];
  await fc.assert(
    fc.asyncProperty(programs(14), async (program) => {
      const graph = riddled(buildProgram(program), program.seed);
      const { small, removed, edits } = emptied(graph);
      const feeds = randomFeeds([{ name: "x", dtype: "float32", shape: ["N", 3, 8, 8] }], {
        batch: program.isBatchSymbolic ? 3 : 1,
        seed: program.seed,
      });
      removedUnits += removed.reduce((sum, gone) => sum + gone, 0);
      foldedUnits += edits.length;
      expect(await errorOf(graph, small, feeds)).toBeLessThan(1e-5);
    }),
    { numRuns: runs, seed: 2 },
  );
  expect(removedUnits).toBeGreaterThan(runs);
  expect(foldedUnits).toBeGreaterThan(runs / 10);
}, 600_000);

test("constant channels hold what onnxruntime finds there, on random graphs", async () => {
  let constants = 0;
  await fc.assert(
    fc.asyncProperty(programs(10), async (program) => {
      const graph = riddled(buildProgram(program), program.seed);
      const known = constantsOf(structureOf(graph).analysis);
      const inspected = { ...graph, outputs: [...known.keys()] };
      if (known.size === 0) return;
      const feeds = randomFeeds([{ name: "x", dtype: "float32", shape: ["N", 3, 8, 8] }], {
        batch: program.isBatchSymbolic ? 3 : 1,
        seed: program.seed,
      });
      for (const [name, tensor] of await outputsOf(inspected, feeds)) {
        const [, channels] = tensor.shape;
        const inner = sizeOf(tensor.shape.slice(2));
        const values = toNumbers(tensor);
        for (const [c, value] of (known.get(name) ?? []).entries()) {
          if (Number.isNaN(value)) continue;
          constants++;
          const own = values.filter((_, i) => Math.floor(i / inner) % channels === c);
          for (const x of own)
            expect(Math.abs(x - value)).toBeLessThan(1e-4 * (1 + Math.abs(value)));
        }
      }
    }),
    { numRuns: Math.min(runs, 80), seed: 3 },
  );
  expect(constants).toBeGreaterThan(500);
}, 600_000);

it.each([
  ["lenet-300-100", {}, [2, 1, 28, 28]],
  ["lenet5-caffe", {}, [2, 1, 28, 28]],
  ["resnet20", {}, [2, 3, 32, 32]],
  ["unet", { width: 4 }, [1, 3, 32, 32]],
])("%s loses its superfluous units and nothing else", async (name, options, shape) => {
  const size = shape.slice(2);
  const graph = riddled(
    buildNetwork(name, { ...options, channels: shape[1], size: [size[0], size[1]], classes: 3 }),
    name,
    0.3,
  );
  const { small, removed, structure } = emptied(graph);
  const gone = removed.reduce((sum, flag) => sum + flag, 0);
  expect(gone).toBeGreaterThan(structure.units.length / 10);
  const [input] = graph.inputs;
  const feeds = randomFeeds([{ name: input, dtype: "float32", shape }], { seed: 1 });
  expect(await errorOf(graph, small, feeds)).toBeLessThan(1e-5);
});

it("keeps what the rules keep, one unit in each layer at least", () => {
  const graph = buildNetwork("lenet-300-100", {});
  const zeros = new Map(
    [...weightConstants(graph)].map(([name, { shape }]) => [
      name,
      new Uint8Array(sizeOf(shape)).fill(1),
    ]),
  );
  const nothing = withZeros(graph, zeros);
  const all = emptied(nothing);
  expect(all.removed.reduce((sum, flag) => sum + flag, 0)).toBe(299 + 99);
  const some = emptied(nothing, { minWidth: 10, except: [all.structure.groups[0].id] });
  expect(some.removed.reduce((sum, flag) => sum + flag, 0)).toBe(90);
});
