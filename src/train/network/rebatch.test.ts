/** @file Rebatching: a batch of three computes what three batches of one do, as onnxruntime runs them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadModel } from "../../files/model-file.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { constantOf, type Graph } from "../../ir/graph.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { withSession } from "../../runtime/session.ts";
import { int64Vector, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { rebatch } from "./rebatch.ts";

const batch = 3;

/** The first output for `x`, with the input declared as x is. */
async function run(graph: Graph, shape: readonly number[], x: Float32Array): Promise<Float64Array> {
  const [input] = graph.inputs;
  const [output] = graph.outputs;
  const type = { dtype: "float32", shape } as const;
  const typed = { ...graph, outputs: [output], types: new Map([[input, type]]) };
  const feeds = new Map([[input, { ...type, data: x.slice() }]]);
  const results = await withSession(encodeGraph(typed).chunks, { threads: 1 }, (session) =>
    session.run(feeds, [output]),
  );
  const tensor = results.get(output);
  return tensor === undefined ? new Float64Array() : toNumbers(tensor);
}

async function expectSame(graph: Graph, sample: readonly number[]): Promise<void> {
  const [input] = graph.inputs;
  const { nodes, sizes } = rebatch(graph, new Map([[input, [batch, ...sample]]]));
  const constants = new Map(graph.constants);
  for (const [name, values] of sizes) constants.set(name, constantOf(name, int64Vector(values)));
  const x = randomOf(1).normals(batch * sizeOf(sample));
  const together = await run({ ...graph, nodes, constants }, [batch, ...sample], x);
  const alone: number[] = [];
  for (let i = 0; i < batch; i++) {
    const one = x.subarray(i * sizeOf(sample), (i + 1) * sizeOf(sample));
    alone.push(...(await run(graph, [1, ...sample], one)));
  }
  expect(together.length).toBe(alone.length);
  const largest = Math.max(...alone.map(Math.abs));
  expect(largest).toBeGreaterThan(0);
  expect(Math.max(...alone.map((v, i) => Math.abs(v - together[i])))).toBeLessThan(1e-4 * largest);
}

/** A graph over x [1, 4, 2, 2] of nodes that reshape and transpose it. */
function chain(...steps: readonly (readonly ["reshape" | "transpose", ...number[]])[]): Graph {
  const b = new GraphBuilder("chain");
  let x = b.input("x", "float32", [1, 4, 2, 2]);
  for (const [what, ...numbers] of steps)
    [x] =
      what === "transpose"
        ? b.node("Transpose", [x], { perm: numbers })
        : b.node("Reshape", [x, b.constant(undefined, int64Vector(numbers))]);
  b.output(x);
  return b.build();
}

describe("a batch of three computes what three of one do", () => {
  it.each<readonly [string, Graph]>([
    ["flattened, one size open", chain(["reshape", 1, -1])],
    ["flattened, all sizes given", chain(["reshape", 1, 16])],
    ["sizes copied", chain(["reshape", 0, 2, -1])],
    ["folded into rows", chain(["reshape", 8, 2])],
    [
      "channels shuffled with the batch in front",
      chain(["reshape", 1, 2, 2, 2, 2], ["transpose", 0, 2, 1, 3, 4], ["reshape", 1, 4, 2, 2]),
    ],
    [
      "the batch moved inwards and back",
      chain(
        ["reshape", 2, 2, 4],
        ["transpose", 1, 0, 2],
        ["reshape", 2, -1, 2, 2, 2],
        ["transpose", 1, 0, 2, 3, 4],
      ),
    ],
  ])("%s", async (_, graph) => {
    await expectSame(graph, [4, 2, 2]);
  });

  it("in a network with weights", async () => {
    const b = new GraphBuilder("net");
    const x = b.input("x", "float32", [1, 2, 4, 4]);
    const w = b.constant("w", tensorOf("float32", [3, 2, 3, 3], randomOf(2).normals(54)));
    const flat = b.node("Reshape", [
      ...b.node("Conv", [x, w]),
      b.constant("to", int64Vector([1, 12])),
    ]);
    const v = b.constant("v", tensorOf("float32", [12, 2], randomOf(3).normals(24)));
    b.output(b.node("MatMul", [...flat, v])[0]);
    await expectSame(b.build(), [2, 4, 4]);
  });

  const folder = process.env.ESPALIER_DATA;
  const files = ["FastestDet", "vnncomp_resnet_a", "yunet_n_320_320", "ultraface_version-RFB-320"];
  // The networks are large and not part of the repository.
  it.skipIf(folder === undefined || !existsSync(join(folder, "models"))).each(files)(
    "in %s",
    async (name) => {
      const { graph } = await loadModel(join(folder ?? "", "models", `${name}.onnx`));
      const shape = graph.types.get(graph.inputs[0])?.shape ?? [];
      await expectSame(graph, shape.slice(1).map(Number));
    },
    60_000,
  );
});

it("what would mix samples is refused by name", () => {
  const mixing = chain(["transpose", 1, 0, 2, 3], ["reshape", 2, 2, 4]);
  expect(() => rebatch(mixing, new Map([["x", [3, 4, 2, 2]]]))).toThrow(/Reshape/);
  expect(rebatch(mixing, new Map([["x", [1, 4, 2, 2]]])).nodes).toBe(mixing.nodes);
});
