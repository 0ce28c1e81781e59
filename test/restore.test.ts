/** @file What a smaller network has learnt comes back into the whole, on random graphs. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { constantOf, type Graph } from "../src/ir/graph.ts";
import { randomFeeds } from "../src/measure/inputs/feeds.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { withSession } from "../src/runtime/session.ts";
import { restoreUnits } from "../src/structure/change/restore.ts";
import { removeUnits } from "../src/structure/change/surgery.ts";
import { selectUnits } from "../src/structure/choice/select.ts";
import { costModel } from "../src/structure/cost/cost.ts";
import { structureOf } from "../src/structure/units/units.ts";
import { tensorOf, toNumbers } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import { parametersOf } from "../src/train/network/parameters.ts";
import { buildProgram, type Program, programs } from "./random-graphs.ts";
import { differenceOf } from "./support/difference.ts";

/** A removal from a random graph. */
function removalOf(program: Program) {
  const graph = buildProgram(program);
  const structure = structureOf(graph);
  const random = randomOf(program.seed, "scores");
  const scores = Float64Array.from(structure.units, () => random.uniform());
  const totals = costModel(structure);
  const before = totals(new Uint8Array(scores.length)).params;
  const { removed } = selectUnits(structure, scores, [
    { name: "params", fraction: 0.6, remaining: (r) => totals(r).params / before },
  ]);
  return { graph, structure, removed };
}

/** The graph with other values in everything that is trained. */
function trained(graph: Graph): Graph {
  const constants = new Map(graph.constants);
  for (const { constant } of parametersOf(graph, graph.nodes)) {
    const { name, dtype, shape } = constant;
    const random = randomOf(name);
    const values = toNumbers(constant.read()).map((value) => value + 0.1 * random.normal());
    constants.set(name, constantOf(name, tensorOf(dtype, shape, values), constant.origin));
  }
  return { ...graph, constants };
}

test("a smaller network that has learnt is the whole that it is put into, made smaller", async () => {
  let different = 0;
  await fc.assert(
    fc.asyncProperty(programs(10), async (program) => {
      const { structure, removed } = removalOf(program);
      const small = trained(removeUnits(structure, removed));
      const whole = restoreUnits(structure, removed, small);
      const again = removeUnits(structureOf(whole), removed);
      const feeds = randomFeeds([{ name: "x", dtype: "float32", shape: ["N", 3, 8, 8] }], {
        batch: program.isBatchSymbolic ? 2 : 1,
        seed: program.seed,
      });
      const [expected, actual] = await Promise.all(
        [small, again].map((own) =>
          withSession(encodeGraph(own).chunks, { threads: 1 }, (session) => session.run(feeds)),
        ),
      );
      for (const [name, tensor] of expected) {
        const { largest } = differenceOf([tensor], [actual.get(name)]);
        expect(largest).toBe(0);
      }
      if (removed.includes(1)) different++;
    }),
    { numRuns: 60, seed: 2 },
  );
  expect(different).toBeGreaterThan(40);
}, 120_000);

test("a network that has learnt nothing stays the same objects", () => {
  fc.assert(
    fc.property(programs(10), (program) => {
      const { graph, structure, removed } = removalOf(program);
      const whole = restoreUnits(structure, removed, removeUnits(structure, removed));
      expect(whole.nodes.every((node, i) => node === graph.nodes[i])).toBe(true);
      for (const [name, constant] of whole.constants)
        expect(constant).toBe(graph.constants.get(name));
    }),
    { numRuns: 30, seed: 3 },
  );
});
