/**
 * @file The steps that `step-cost.ts` times: that of tuning, and those of the Bayesian methods as these put them
 * together.
 */
import type { Graph } from "../src/ir/graph.ts";
import { randomGates } from "../src/methods/gates/gate-settings.ts";
import { freeEnergy } from "../src/methods/gates/gate-training.ts";
import { insertNoisyGates } from "../src/methods/gates/noisy-gates.ts";
import { readOptions } from "../src/methods/method/options.ts";
import { freeEnergyOf, klWeight } from "../src/methods/posterior/free-energy.ts";
import { believe, priorDeviations, turboLayers } from "../src/methods/turbo/turbo-layer.ts";
import { turboOptions, turboSettings } from "../src/methods/turbo/turbo-settings.ts";
import {
  insertNoise,
  momentsOfWeight,
  type VariationalGraph,
} from "../src/methods/variational/variational.ts";
import {
  type NoiseForm,
  noiseForms,
  type VariationalWeight,
  variationalWeights,
} from "../src/methods/variational/variational-layers.ts";
import { emitTotalKl, type Prior } from "../src/methods/variational/variational-loss.ts";
import { weightStartOf } from "../src/methods/variational/variational-start.ts";
import { spreadRate } from "../src/methods/variational/variational-training.ts";
import { type Structure, structureOf } from "../src/structure/units/units.ts";
import { sizeOf, tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import { labels } from "../src/train/step/objectives.ts";
import { adam, sgd, withScalar } from "../src/train/step/optimizers.ts";
import { buildStep, type TrainingStep } from "../src/train/step/step.ts";
import type { StepOptions } from "../src/train/step/step-options.ts";

/** A way to train a network. */
export interface Form {
  readonly name: string;
  readonly build: () => TrainingStep;
}

/** The steps that are compared for a network with batches of this size and so many samples; the plain one first. */
export function formsOf(
  graph: Graph,
  { batch, samples }: { readonly batch: number; readonly samples: number },
): readonly Form[] {
  const structure = structureOf(graph);
  const { x, y } = batchOf(structure, batch);
  const task = labels();
  const shared = {
    inputShapes: new Map([[graph.inputs[0], x.shape]]),
    target: { dtype: y.dtype, shape: y.shape },
  };
  const bayesian: Pick<StepOptions, "statistics" | "optimizer"> = {
    statistics: "frozen",
    optimizer: withScalar(adam(), klWeight, () => 1 / samples),
  };
  const variational = <W extends VariationalWeight>(
    noisy: VariationalGraph,
    weights: readonly W[],
    priorOf: (weight: W) => Prior,
  ) =>
    buildStep(noisy.graph, {
      ...shared,
      ...bayesian,
      objective: freeEnergyOf(task, (step) => emitTotalKl(step, weights, noisy, priorOf)),
      groups: [
        ...noisy.fixed.map((match) => ({ match, isFrozen: true })),
        { match: `${noisy.prefix}*`, rateFactor: spreadRate },
      ],
    });
  const snr = (noise: NoiseForm | "auto") => {
    const weights = variationalWeights(structure, noise).map((own) => ({
      ...own,
      ...weightStartOf(graph, own, { sigma: "weight", isPriorLearnt: false, memory: undefined }),
    }));
    const noisy = insertNoise(graph, weights, "weight", (own) => own);
    return variational(noisy, weights, ({ prior }) => prior);
  };
  return [
    {
      name: "plain",
      build: () => buildStep(graph, { ...shared, objective: task, optimizer: sgd() }),
    },
    {
      name: "plain, Adam, frozen statistics",
      build: () => buildStep(graph, { ...shared, ...bayesian, objective: task, optimizer: adam() }),
    },
    {
      name: "`vib`",
      build() {
        const gates = randomGates({ structure, rules: {}, options: { stream: false } });
        const noisy = insertNoisyGates(graph, gates, "gaussian");
        const weights = ({ units }: { readonly units: Int32Array }) =>
          new Float64Array(units.length).fill(1);
        return buildStep(noisy.graph, {
          ...shared,
          ...bayesian,
          objective: freeEnergy(task, noisy, { gates, weights }, "gaussian"),
          groups: [{ match: `${noisy.prefix}*`, decay: 0, rateFactor: 10 }],
        });
      },
    },
    { name: `\`snr\`, ${chosen(structure)}`, build: () => snr("auto") },
    ...noiseForms
      .filter((noise) => variationalWeights(structure, "auto").some((own) => own.noise !== noise))
      .map((noise): Form => ({ name: `\`snr\`, ${noise}`, build: () => snr(noise) })),
    {
      name: "`turbo-vbi`",
      build() {
        const settings = turboSettings(readOptions("turbo-vbi", turboOptions, {}));
        const layers = turboLayers(structure, settings);
        const noisy = insertNoise(graph, layers, "weight", (own) => own);
        return variational(noisy, layers, (layer) => {
          const moments = momentsOfWeight(noisy.graph, noisy, layer, layer.limit);
          const beliefs = believe(layer, settings, moments, undefined, true);
          const deviations = priorDeviations(layer, beliefs);
          const means = tensorOf(layer.dtype, layer.shape, new Float64Array(sizeOf(layer.shape)));
          return { kind: "given", means, deviations };
        });
      },
    },
  ];
}

/** Which forms the default takes, and how often. */
function chosen(structure: Structure): string {
  const weights = variationalWeights(structure, "auto");
  const counts = noiseForms.map((form) => [form, weights.filter((w) => w.noise === form).length]);
  const own = counts.filter(([, count]) => count !== 0).map(([form, count]) => `${count} ${form}`);
  return `auto (${own.join(", ")})`;
}

/** A random batch for a network's first input and output. */
export function batchOf({ analysis: { graph, inference } }: Structure, batch: number) {
  const shapeOf = (name: string) =>
    (inference.types.get(name)?.shape ?? []).map((size, axis) =>
      axis === 0 ? batch : Number(size),
    );
  const shape = shapeOf(graph.inputs[0]);
  const [, classes, ...positions] = shapeOf(graph.outputs[0]);
  const random = randomOf(1, "step cost");
  const x = tensorOf("float32", shape, random.normals(sizeOf(shape)));
  const places = [batch, ...positions];
  const own = Float64Array.from({ length: sizeOf(places) }, () => random.integer(classes));
  return { x, y: tensorOf("int64", places, own) };
}
