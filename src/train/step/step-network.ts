/** @file The network of a training step in training form: its inputs, and what is trained as state. */
import { EspalierError } from "../../errors.ts";
import { GraphEmitter } from "../../grad/emitter.ts";
import type { Graph, Node } from "../../ir/graph.ts";
import { nodesBehind } from "../../ir/live.ts";
import { freshNames } from "../../ir/names.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { inferTypes } from "../../ops/passes/infer.ts";
import { trainingForm } from "../../ops/passes/training.ts";
import { noZeros, type Zeros, zerosIn } from "../../structure/weights/zeros.ts";
import { randomOf } from "../../tensor/random.ts";
import { bundlesOf } from "../network/bundles.ts";
import { embedNodes, emptyGraph, requireUnderstood } from "../network/embed.ts";
import {
  ownStatistics,
  type Parameter,
  parametersOf,
  type Statistics,
  statisticsOf,
} from "../network/parameters.ts";
import { rebatch } from "../network/rebatch.ts";
import type { Optimizer } from "./optimizers.ts";
import { type StatisticsInputs, statisticsInputs } from "./running-statistics.ts";
import { type BundleInput, StateInputs } from "./state.ts";
import type { StepOptions } from "./step-options.ts";
import { outputOf, unknownOutput } from "./step-parts.ts";
import { emitRounded } from "./straight-through.ts";

/**
 * Parameters that are updated alike, with the state of the optimizer. `parts` are what the network reads of
 * them; gradients with respect to these are taken for those of the parameters themselves.
 */
export interface TrainedBundle extends BundleInput {
  /** Whether what is 0 stays 0. */
  readonly keepsZeros: boolean;
  readonly slots: readonly Value[];
  readonly decay: number;
  readonly rateFactor: number;
}

/** What a step is built of: the network as it is fed, and what of it is trained. */
export interface Subject {
  /** The network, with statistics of its own for each normalization. */
  readonly network: Graph;
  readonly outputName: string;
  /** The nodes on which the output depends, as they run with the batch of the step. */
  readonly nodes: readonly Node[];
  /** Shapes that the nodes read, by the name of a constant: see `rebatch`. */
  readonly sizes: ReadonlyMap<string, readonly number[]>;
  readonly trained: readonly Parameter[];
  /** The running statistics that follow the batch; none where they are frozen. */
  readonly statistics: readonly Statistics[];
}

/**
 * Finds out what is trained. Fails with `MODEL_UNSUPPORTED` where that is nothing, or where the network has no such
 * output, and as `rebatch`.
 */
export function subjectOf(graph: Graph, options: StepOptions): Subject {
  const { outputs = [options.output ?? graph.outputs[0]] } = options;
  const [outputName] = outputs;
  for (const name of outputs)
    if (!graph.nodes.some((node) => node.outputs.includes(name))) throw unknownOutput(graph, name);
  const inference = inferTypes(graph);
  const network = ownStatistics(graph, (name) => inference.values.get(name));
  const asFed = rebatch(network, options.inputShapes);
  const nodes = nodesBehind(asFed.nodes, outputs);
  requireUnderstood(nodes);
  const trained = parametersOf(network, nodes, options.groups);
  if (trained.length === 0)
    throw new EspalierError("MODEL_UNSUPPORTED", "the network has no parameters to train", {
      hint: "Weights must be constants of the graph, and not all of them frozen.",
    });
  const statistics = options.statistics === "frozen" ? [] : statisticsOf(network, nodes);
  return { network, outputName, nodes, sizes: asFed.sizes, trained, statistics };
}

/** Declares the network's inputs; those that nothing reads are left out. */
function feedInputs(
  emit: GraphEmitter,
  network: Graph,
  nodes: readonly Node[],
  shapes: ReadonlyMap<string, readonly number[]>,
  values: Map<string, Value>,
): readonly Value[] {
  return network.inputs.flatMap((name) => {
    const shape = shapes.get(name);
    if (!nodes.some((node) => node.inputs.includes(name))) return [];
    if (shape === undefined)
      throw new EspalierError("DATA_MISMATCH", `nothing is fed to the network's input "${name}"`);
    const value = emit.input(name, network.types.get(name)?.dtype ?? "float32", shape);
    values.set(name, value);
    return [value];
  });
}

function trainedBundles(
  state: StateInputs,
  optimizer: Optimizer,
  parameters: readonly Parameter[],
  sparse: Zeros,
): readonly TrainedBundle[] {
  const alike = new Map<string, Parameter[]>();
  for (const parameter of parameters) {
    const { decay = optimizer.decay, rateFactor, constant } = parameter;
    const key = `${decay} ${rateFactor} ${sparse.has(constant.name)}`;
    alike.set(key, [...(alike.get(key) ?? []), parameter]);
  }
  return [...alike.values()].flatMap((group) => {
    const [{ decay = optimizer.decay, rateFactor, constant: first }] = group;
    const keepsZeros = sparse.has(first.name);
    return bundlesOf(group.map(({ constant }) => constant)).map((bundle): TrainedBundle => {
      const input = state.bundle("parameters", bundle);
      const slots = optimizer.slots.map((slot) =>
        state.zeros(`${input.value.name}.${slot}`, bundle.shape),
      );
      return { ...input, slots, decay, rateFactor, keepsZeros };
    });
  });
}

/** The nodes as they run in training, by the nodes that they were. */
function trainingForms(
  emit: GraphEmitter,
  network: Graph,
  nodes: readonly Node[],
  statistics: readonly Statistics[],
  values: Map<string, Value>,
  { noiseSeed = 0 }: StepOptions,
): { readonly forms: ReadonlyMap<Node, Node>; readonly isNoisy: boolean } {
  const fresh = freshNames(network);
  const random = randomOf(noiseSeed, "noise");
  const seeds = new Set<number>();
  const updated = new Set(statistics.map(({ node }) => node));
  const forms = new Map<Node, Node>();
  for (const node of nodes) {
    const form = trainingForm(node, {
      fresh,
      constant(tensor) {
        const name = fresh("constant");
        values.set(name, emit.constant(tensor));
        return name;
      },
      seed() {
        // onnxruntime keeps seeds as float32: above 2^24 two of them may be one.
        let seed = random.integer(2 ** 24);
        while (seeds.has(seed)) seed = random.integer(2 ** 24);
        seeds.add(seed);
        return seed;
      },
      usesBatchStatistics: updated.has(node),
    });
    forms.set(node, form);
  }
  return { forms, isNoisy: seeds.size > 0 };
}

/** The network as it was emitted, and what was declared for it. */
export interface EmittedNetwork {
  readonly emit: GraphEmitter;
  readonly state: StateInputs;
  /** Every value of the network, by name. */
  readonly values: ReadonlyMap<string, Value>;
  readonly inputs: readonly Value[];
  /** `undefined` where there are no targets. */
  readonly target: Value | undefined;
  /** The inputs for the optimizer's scalars, in its order. */
  readonly scalars: readonly Value[];
  readonly bundles: readonly TrainedBundle[];
  /** `undefined` where no statistics follow the batch. */
  readonly running: StatisticsInputs | undefined;
  /** The nodes as they run in training, by the nodes that they were. */
  readonly forms: ReadonlyMap<Node, Node>;
  readonly isNoisy: boolean;
  readonly outputName: string;
  readonly output: Value;
}

/** Emits the network in training form, from the inputs of the step to the output that counts. */
export function emitNetwork(subject: Subject, options: StepOptions): EmittedNetwork {
  const { network, outputName, nodes, sizes, trained, statistics } = subject;
  const { optimizer, target: targetType } = options;
  const empty = emptyGraph(`${network.name} training step`);
  const emit = new GraphEmitter(empty, inferTypes(empty));
  const state = new StateInputs(emit);
  const values = new Map<string, Value>();
  for (const [name, own] of sizes) values.set(name, emit.ints(own));
  const inputs = feedInputs(emit, network, nodes, options.inputShapes, values);
  const target = targetType && emit.input("target", targetType.dtype, targetType.shape);
  const scalars = optimizer.scalars.map((name) => emit.input(name, "float32", []));
  const read = weightReader(emit, options.weightSteps);
  const sparse = options.keepsZeros ? zerosIn(network) : noZeros;
  const bundles = trainedBundles(state, optimizer, trained, sparse).map(
    ({ parts, ...bundle }): TrainedBundle => ({
      ...bundle,
      parts: parts.map((part, i) => read(bundle.bundle.constants[i].name, part)),
    }),
  );
  const running = statisticsInputs(emit, state, statistics);
  for (const { bundle, parts } of [...bundles, ...Object.values(running ?? {})])
    for (const [i, { name }] of bundle.constants.entries()) values.set(name, parts[i]);
  // Weights that are not trained are rounded, too.
  for (const name of options.weightSteps?.keys() ?? []) {
    const constant = network.constants.get(name);
    if (constant && !values.has(name)) values.set(name, read(name, emit.constant(constant.read())));
  }
  const { forms, isNoisy } = trainingForms(emit, network, nodes, statistics, values, options);
  embedNodes(emit, network, [...forms.values()], values);
  const output = outputOf(network, outputName, values, inputs);
  return {
    emit,
    state,
    values,
    inputs,
    target,
    scalars,
    bundles,
    running,
    forms,
    isNoisy,
    outputName,
    output,
  };
}

/** How the network reads a weight: as it is, or rounded where a step is given for it. */
function weightReader(
  emit: GraphEmitter,
  steps: StepOptions["weightSteps"],
): (name: string, weight: Value) => Value {
  return (name, weight) => {
    const step = steps?.get(name);
    return step === undefined ? weight : emitRounded(emit, weight, step);
  };
}
