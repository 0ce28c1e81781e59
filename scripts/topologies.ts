/**
 * @file `npm run topologies -- DIR`: well-known ImageNet networks from ONNX's "light" backend tests.
 *
 * Those files have constants for weights, so seeded He weights and random batch-normalization
 * statistics take their place; the Softmax at the end is cut off, since it would hide differences.
 * Each network is inspected, pruned to 70 % of its MACs with random scores, and verified.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Constant, constantOf, type Graph, type Node } from "../src/ir/graph.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { inferTypes } from "../src/ops/passes/infer.ts";
import { prune } from "../src/prune/prune.ts";
import { verifyPruned } from "../src/prune/verify.ts";
import { inspect } from "../src/structure/inspect.ts";
import { sizeOf, tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";

const [dir] = process.argv.slice(2);
if (dir === undefined) {
  process.stderr.write("usage: npm run topologies -- DIR (with ONNX's light_*.onnx)\n");
  process.exit(2);
}

let failures = 0;
for (const file of (await readdir(dir)).sort()) {
  if (!file.endsWith(".onnx")) continue;
  const light = readModel(await readFile(join(dir, file)));
  const model = readModel(concatBytes(encodeGraph(withoutSoftmax(withRandomWeights(light.graph)))));
  const { params, macs, units, prunableUnits } = inspect(model);
  const pruned = prune(model, { method: "random", seed: 1, targets: { macs: 0.7 } });
  const { passed, maxError } = await verifyPruned(model, pruned, { samples: 1 });
  if (!passed) failures++;
  const share = (pruned.after.macs / macs).toFixed(3);
  process.stdout.write(
    `${file.padEnd(28)} ${(params / 1e6).toFixed(1).padStart(6)} M params ${(macs / 1e6).toFixed(0).padStart(6)} M MACs  ${prunableUnits}/${units} units prunable  MACs left ${share}  max error ${maxError.toExponential(1)} ${passed ? "verified" : "FAILED"}\n`,
  );
}
process.exit(failures === 0 ? 0 : 1);

/** Gives every weight that the file fills with one value, and every statistic, seeded values. */
function withRandomWeights(graph: Graph): Graph {
  const { types } = inferTypes(graph);
  const constants = new Map<string, Constant>(graph.constants);
  const filled = new Set<Node>();
  const put = (name: string, shape: readonly number[], value: (random: () => number) => number) => {
    const random = randomOf(1, name);
    const values = Array.from({ length: sizeOf(shape) }, () => value(() => random.normal()));
    constants.set(name, constantOf(name, tensorOf("float32", shape, values)));
  };
  for (const node of graph.nodes) {
    if (node.opType !== "ConstantOfShape") continue;
    filled.add(node);
    const shape = (types.get(node.outputs[0])?.shape ?? []).map(Number);
    const fanIn = sizeOf(shape.slice(1));
    put(
      node.outputs[0],
      shape,
      (normal) => normal() * (shape.length > 1 ? Math.sqrt(2 / fanIn) : 0.1),
    );
  }
  for (const node of graph.nodes) {
    if (node.opType !== "BatchNormalization") continue;
    const [, scale, bias, mean, variance] = node.inputs;
    const shape = (types.get(scale)?.shape ?? []).map(Number);
    put(scale, shape, (normal) => Math.exp(0.2 * normal()));
    put(bias, shape, (normal) => 0.2 * normal());
    put(mean, shape, (normal) => 0.2 * normal());
    put(variance, shape, (normal) => Math.exp(0.2 * normal()));
  }
  return { ...graph, constants, nodes: graph.nodes.filter((node) => !filled.has(node)) };
}

function withoutSoftmax(graph: Graph): Graph {
  const last = graph.nodes.at(-1);
  if (last?.opType !== "Softmax") return graph;
  return { ...graph, nodes: graph.nodes.slice(0, -1), outputs: [last.inputs[0]] };
}
