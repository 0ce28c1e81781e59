/**
 * @file The invariant that everything rests on, over random graphs: removing units equals zeroing
 * what their consumers read of them. Twice: with zeros where verification puts them, and, without any
 * mask, with zeros for all numbers that go.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Graph } from "../src/ir/graph.ts";
import { randomFeeds } from "../src/measure/inputs/feeds.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { withSession } from "../src/runtime/session.ts";
import { maskReads } from "../src/structure/change/masks.ts";
import { removeUnits } from "../src/structure/change/surgery.ts";
import { selectUnits } from "../src/structure/choice/select.ts";
import { costModel } from "../src/structure/cost/cost.ts";
import { structureOf } from "../src/structure/units/units.ts";
import { type HostTensor, toNumbers } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import { buildProgram, type Program, programs } from "./random-graphs.ts";
import { withDeadUnits } from "./support/dead-units.ts";
import { differenceOf } from "./support/difference.ts";

const derived: ReadonlySet<string> = new Set(["derived-weight", "standardised-weight"]);

/** Number of random graphs. */
const runs = Number(process.env.ESPALIER_RANDOM_GRAPHS ?? 500);

test(`removal equals zeroing what consumers read, on ${runs} random graphs`, async () => {
  let removedUnits = 0;
  await fc.assert(
    fc.asyncProperty(programs(14), async (program) => {
      const { error, traceOfDead, removed } = await removalError(program);
      removedUnits += removed;
      expect(error).toBeLessThan(1e-5);
      expect(traceOfDead).toBeLessThan(1e-5);
    }),
    { numRuns: runs, seed: 1 },
  );
  expect(removedUnits).toBeGreaterThan(runs);
}, 1_200_000);

/** The largest differences between the smaller network and its references, over max |output|. */
async function removalError(program: Program) {
  const graph = buildProgram(program);
  const structure = structureOf(graph);
  const random = randomOf(program.seed, "scores");
  const scores = Float64Array.from(structure.units, () => random.uniform());
  const totals = costModel(structure);
  const before = totals(new Uint8Array(scores.length)).params;
  const fraction = 0.2 + 0.7 * random.uniform();
  const { removed } = selectUnits(structure, scores, [
    { name: "params", fraction, remaining: (r) => totals(r).params / before },
  ]);
  const small = removeUnits(structure, removed);
  const feeds = randomFeeds([{ name: "x", dtype: "float32", shape: ["N", 3, 8, 8] }], {
    batch: program.isBatchSymbolic ? 3 : 1,
    seed: program.seed,
  });
  const actual = await run(small, feeds);
  const errorOf = async (reference: Graph) => {
    const expected = await run(reference, feeds);
    const errors = [...expected].map(([name, tensor]) => {
      const { largest } = differenceOf([tensor], [actual.get(name)]);
      const magnitude = Math.max(...toNumbers(tensor).map(Math.abs));
      return largest === 0 ? 0 : largest / magnitude;
    });
    return Math.max(...errors);
  };
  const error = await errorOf(maskReads(structure, removed));
  // The oracle knows weights that stand in the file, not what nodes make of them.
  const isPlain = !program.instructions.some(({ kind }) => derived.has(kind));
  const traceOfDead = isPlain ? await errorOf(withDeadUnits(structure, removed)) : 0;
  return { error, traceOfDead, removed: removed.reduce((sum, flag) => sum + flag, 0) };
}

function run(graph: Graph, feeds: ReadonlyMap<string, HostTensor>) {
  return withSession(encodeGraph(graph).chunks, { threads: 1 }, (session) => session.run(feeds));
}
