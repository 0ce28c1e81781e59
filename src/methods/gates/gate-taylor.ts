/**
 * @file The change of the loss when a factor is set to 0, to first order, example by example.
 *
 * A factor a multiplies the channel v = a x, so that a dL/da = Σ over positions of v dL/dv: it can be computed in the
 * network itself, without factors. The score is the mean of its square over examples (Molchanov et al., CVPR 2019): the
 * mean itself vanishes for a trained network.
 */
import type { Dataset } from "../../data/dataset.ts";
import { headOf } from "../../grad/head.ts";
import { emitGradients } from "../../grad/reverse.ts";
import type { Graph } from "../../ir/graph.ts";
import { nodesBehind, withoutDead } from "../../ir/live.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { sessionOptionsOf, withSession } from "../../runtime/session.ts";
import { toNumbers } from "../../tensor/host-tensor.ts";
import { batchFor } from "../../train/loop/batch.ts";
import { objectiveFor, outputsRead } from "../../train/loop/options.ts";
import { embedNodes } from "../../train/network/embed.ts";
import { feedNetwork } from "../../train/network/fed-network.ts";
import { type Feeding, feedingOf } from "../../train/step/feeding.ts";
import { followOutputs } from "../../train/step/objectives.ts";
import {
  outputOf,
  predictionFor,
  requireScalar,
  teacherScores,
} from "../../train/step/step-parts.ts";
import { fixedSampleOf, type SampleOptions } from "../method/fixed-sample.ts";
import type { LearningOptions } from "../method/learned-method.ts";
import type { Gate, GateSite } from "./filter-gates-sites.ts";

/** The number of samples and their batches. */
export interface TaylorOptions extends SampleOptions {
  readonly training: LearningOptions;
}

/**
 * E[(a dL/da)²] over examples, one value for each unit of each gate. The values of a unit from several layers are added
 * before they are squared. Batch normalization keeps its statistics. Where the outputs of the original are followed,
 * noise is added to them: at the original itself no loss has a gradient.
 *
 * Fails as `train` does.
 */
export async function taylorScores(
  graph: Graph,
  gates: readonly Gate[],
  dataset: Dataset,
  options: TaylorOptions,
): Promise<ReadonlyMap<Gate, Float64Array>> {
  const { batchSize: most = 64, output } = options.training;
  const { batchSize, count, batches } = fixedSampleOf(dataset, {
    ...options,
    training: { ...options.training, batchSize: batchFor(graph, dataset, most, output) },
  });
  const feeding = feedingOf(graph, dataset, batchSize);
  const { answers } = dataset;
  const training: LearningOptions = answers
    ? { ...options.training, objective: followOutputs(answers, options.seed) }
    : options.training;
  const { emitted, target, products } = emitProducts(graph, gates, feeding, dataset, training);
  const sums = new Map(gates.map((gate) => [gate, new Float64Array(gate.units.length)]));
  await withSession(encodeGraph(emitted).chunks, sessionOptionsOf(training), async ({ run }) => {
    for await (const batch of batches()) {
      const feeds = feeding.feeds(batch, target);
      const results = await run(feeds, undefined, { handOver: true });
      for (const [gate, sum] of sums) {
        const perExample = new Float64Array(batchSize * sum.length);
        for (const { entries, value } of gate.sites) {
          const product = results.get(products.get(value) ?? "");
          if (product === undefined) continue;
          for (const [i, part] of toNumbers(product).entries()) {
            const [example, channel] = [Math.floor(i / entries.length), i % entries.length];
            perExample[example * sum.length + entries[channel]] += part;
          }
        }
        // The loss is a mean over examples.
        for (const [i, part] of perExample.entries())
          sum[i % sum.length] += (part * batchSize) ** 2 / (batchSize * count);
      }
    }
  });
  return sums;
}

/** The network at inference and backwards; outputs [N, C] by the values of sites. */
function emitProducts(
  graph: Graph,
  gates: readonly Gate[],
  { inputShapes, target: targetType }: Feeding,
  dataset: Dataset,
  training: LearningOptions,
) {
  const { emit, inputs, values, nodes } = feedNetwork("importance", graph, inputShapes);
  const target = targetType && emit.input("target", targetType.dtype, targetType.shape);
  const read = outputsRead(graph, dataset, training.output);
  const [outputName] = read;
  embedNodes(emit, graph, nodesBehind(nodes, read), values);
  const output = outputOf(graph, outputName, values, inputs);
  const { prediction, form } = headOf(emit, output);
  const teacher = teacherScores(emit, training.teacher, inputs, outputName);
  const objective = objectiveFor(dataset, training);
  const loss = objective({
    emit,
    prediction,
    form,
    target,
    teacher,
    values,
    parameters: new Map(),
    scalars: new Map(),
    predictionFor: (aim) => predictionFor(emit, { name: outputName, output }, aim),
  });
  requireScalar(loss);
  const sites = gates.flatMap((gate) => gate.sites).filter(({ value }) => values.has(value));
  const nameOf = ({ value }: GateSite) => values.get(value)?.name ?? "";
  const gradients = emitGradients(emit, loss, sites.map(nameOf));
  const products = new Map(
    sites.flatMap((site) => {
      const [value, gradient] = [values.get(site.value), gradients.get(nameOf(site))];
      if (value === undefined || gradient === undefined) return [];
      const others = [...value.shape.keys()].filter((axis) => axis > 0 && axis !== site.axis);
      return [[site.value, emit.sum(emit.mul(value, gradient), others).name] as const];
    }),
  );
  const emitted = withoutDead(emit.build([...new Set(products.values())]));
  return { emitted, target: target?.name, products };
}
