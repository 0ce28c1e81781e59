/** @file Gradients of random networks, against central differences along one direction per tensor. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Attribute, Graph, Node } from "../src/ir/graph.ts";
import { isFloat } from "../src/tensor/dtype.ts";
import { buildProgram, layerKinds, type Program, programs } from "./random-graphs.ts";
import { gradientErrors, normals } from "./support/gradient.ts";

/** Kinks are smoothed, so that differences measure slopes and not on which side of a kink a step ends. */
const smoothed: Readonly<Record<string, string>> = {
  Relu: "Softplus",
  LeakyRelu: "Elu",
  HardSigmoid: "Sigmoid",
  HardSwish: "Mish",
  PRelu: "Mul",
  MaxPool: "AveragePool",
  ReduceMax: "ReduceMean",
};

function smooth(graph: Graph): Graph {
  const nodes = graph.nodes.map((node): Node => {
    const opType = smoothed[node.opType];
    if (opType === undefined) return node;
    const attributes = opType === "AveragePool" ? node.attributes : new Map<string, Attribute>();
    return { ...node, opType, attributes };
  });
  return { ...graph, nodes };
}

/** Whether anybody trains a constant: not sizes, running statistics, or numbers such as exponents and ε. */
function isWeight(graph: Graph, name: string): boolean {
  if (graph.constants.get(name)?.shape.length === 0) return false;
  return graph.nodes.every((node) => {
    const index = node.inputs.indexOf(name);
    if (node.opType === "BatchNormalization") return index < 3;
    return index < 0 || (node.opType !== "Resize" && node.opType !== "Pad");
  });
}

/**
 * Steps of the differences, large to small. Curvature is told from a wrong gradient by the step: its error
 * falls with the fourth power, while that of a wrong gradient stays. A small step alone drowns in rounding.
 */
const steps = [2e-2, 5e-3, 1.25e-3];
const tolerance = 5e-3;

/** The errors of the gradients that no step confirms. */
async function wrongGradients(program: Program): Promise<readonly (readonly [string, number])[]> {
  const graph = smooth(buildProgram(program));
  const weights = [...graph.constants.values()].filter(
    ({ name, dtype }) => isFloat(dtype) && isWeight(graph, name),
  );
  const x = normals([program.isBatchSymbolic ? 2 : 1, 3, 8, 8]);
  const feeds = new Map([["x", x]]);
  let doubted = new Map([...feeds, ...weights.map(({ name, read }) => [name, read()] as const)]);
  let wrong: readonly (readonly [string, number])[] = [];
  for (const step of steps) {
    const errors = await gradientErrors(graph, doubted, { step }, feeds);
    wrong = [...errors].flatMap(([name, { error }]) =>
      error < tolerance ? [] : [[name, error] as const],
    );
    doubted = new Map([...doubted].filter(([name]) => wrong.some(([other]) => other === name)));
    if (doubted.size === 0) break;
  }
  return wrong;
}

const numbers = [3, 4, 5];

describe("gradients of networks", () => {
  it.each(layerKinds)("with the layer %s", async (kind) => {
    for (const c of numbers) {
      const instructions = [
        { kind, a: 0, b: 3, c },
        { kind: "conv", a: 0, b: 1, c: 0 },
      ] as const;
      const program = { seed: c, instructions, isBatchSymbolic: c === 4, head: "flatten" } as const;
      expect(await wrongGradients(program)).toEqual([]);
    }
  });

  it("of random programs", async () => {
    await fc.assert(
      fc.asyncProperty(programs(10), async (program) => {
        expect(await wrongGradients(program)).toEqual([]);
      }),
      { numRuns: 60, seed: 1 },
    );
  }, 120_000);
});
