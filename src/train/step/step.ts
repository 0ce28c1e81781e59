/**
 * @file A training step as an ONNX graph: the network in training form, loss, gradients, the update
 * of the parameters, and what is measured on the way. The size of the batch is part of the graph.
 */
import { EspalierError } from "../../errors.ts";
import { GraphEmitter } from "../../grad/emitter.ts";
import { headOf } from "../../grad/head.ts";
import { emitGradients } from "../../grad/reverse.ts";
import type { Graph, Node } from "../../ir/graph.ts";
import { nodesBehind, withoutDead } from "../../ir/live.ts";
import { freshNames } from "../../ir/names.ts";
import { algebraOf } from "../../ops/operator/algebra.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { inferTypes } from "../../ops/passes/infer.ts";
import { trainingForm } from "../../ops/passes/training.ts";
import { noZeros, type Zeros, zerosIn } from "../../structure/zeros.ts";
import type { DType } from "../../tensor/dtype.ts";
import { type HostTensor, tensorOf } from "../../tensor/host-tensor.ts";
import { type RandomKey, randomOf } from "../../tensor/random.ts";
import { type Bundle, bundlesOf, emitBundled } from "../network/bundles.ts";
import { embedNodes, emptyGraph, requireUnderstood } from "../network/embed.ts";
import {
  frozen,
  ownStatistics,
  type Parameter,
  type ParameterGroup,
  parametersOf,
  type Statistics,
  statisticsOf,
} from "../network/parameters.ts";
import { rebatch } from "../network/rebatch.ts";
import { withoutZeros } from "./kept-zeros.ts";
import type { Objective } from "./objectives.ts";
import type { Optimizer } from "./optimizers.ts";
import { emitProbe, type Probe, type Suspect } from "./probe.ts";
import { statisticsInputs, updateStatistics } from "./running-statistics.ts";
import { type BundleInput, StateInputs } from "./state.ts";
import {
  clipped,
  emitAccuracy,
  emitGuard,
  outputOf,
  predictionFor,
  requireScalar,
  teacherScores,
  unknownOutput,
} from "./step-parts.ts";
import { emitRounded } from "./straight-through.ts";

/** Type and shape of what is fed as a target. */
export interface TargetType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** What a step is made of. */
export interface StepOptions {
  /** The shape of every input that is fed, batch included. */
  readonly inputShapes: ReadonlyMap<string, readonly number[]>;
  /** `undefined` where there are no targets. */
  readonly target: TargetType | undefined;
  readonly objective: Objective;
  readonly optimizer: Optimizer;
  /** The output whose scores are the objective's prediction; default the first. */
  readonly output?: string | undefined;
  /** All outputs that the objective reads. Default: that one. */
  readonly outputs?: readonly string[] | undefined;
  /** A network that takes the same inputs, whose scores the objective may read. */
  readonly teacher?: Graph | undefined;
  readonly groups?: readonly ParameterGroup[] | undefined;
  /** Gradients are scaled down to this global norm where theirs is larger. */
  readonly clipNorm?: number | undefined;
  /** Weights of linear layers that are 0 in the network stay 0. Default false. */
  readonly keepsZeros?: boolean | undefined;
  /** Steps of weights, by name: the network reads them rounded ({@link emitRounded}). */
  readonly weightSteps?: ReadonlyMap<string, number> | undefined;
  /** Whether batch normalization uses and updates the statistics of batches (default), or keeps its own. */
  readonly statistics?: "batch" | "frozen" | undefined;
  /** The label of what does not count, for the accuracy. */
  readonly ignoreLabel?: number | undefined;
  /** Seed of noise inside the network (Dropout). Default 0. */
  readonly noiseSeed?: RandomKey | undefined;
}

/** A step that is ready to run. */
export interface TrainingStep {
  /** Its inputs are those of the network, `target`, scalars and state. */
  readonly graph: Graph;
  /** The name of the input for targets. */
  readonly target: string | undefined;
  /** The scalars to feed at step 0, 1, ... with a learning rate. */
  readonly scalars: (step: number, rate: number) => ReadonlyMap<string, HostTensor>;
  /** State inputs, each with the output that computes its next value. */
  readonly state: ReadonlyMap<string, string>;
  readonly initial: ReadonlyMap<string, HostTensor>;
  /** A bool output: loss and gradients are finite. */
  readonly guard: string;
  /** A rank-0 float32 output. */
  readonly loss: string;
  /** Rank-0 float32 outputs with the parts of the loss that the objective told, by their names. */
  readonly terms: ReadonlyMap<string, string>;
  /** The norm of all gradients before clipping, rank-0 float32. */
  readonly norm: string;
  /** The share of labels that have the largest score, rank-0 float32; `undefined` without labels. */
  readonly accuracy: string | undefined;
  /** State inputs that hold constants of the network, not the optimizer's own. */
  readonly weightState: readonly string[];
  /** Parameters and running statistics by constant of `network`, out of a state. */
  readonly weightsOf: (state: ReadonlyMap<string, HostTensor>) => ReadonlyMap<string, HostTensor>;
  /** The network that is trained. Running statistics belong to one node each. */
  readonly network: Graph;
  /** Names of the trained parameters. */
  readonly parameters: readonly string[];
  /** Whether nodes draw random numbers; their stream begins anew with every session. */
  readonly isNoisy: boolean;
  /** The same step as a graph that tells which value is not finite. */
  readonly probe: () => Probe;
}

/**
 * Parameters that are updated alike, with the state of the optimizer. `parts` are what the network reads of
 * them; gradients with respect to these are taken for those of the parameters themselves.
 */
interface TrainedBundle extends BundleInput {
  /** Whether what is 0 stays 0. */
  readonly keepsZeros: boolean;
  readonly slots: readonly Value[];
  readonly decay: number;
  readonly rateFactor: number;
}

/**
 * Builds the step of a network.
 *
 * Errors: `MODEL_UNSUPPORTED` where the network cannot be differentiated or has nothing to train,
 * `DATA_MISMATCH` where targets or batch do not fit, `PATTERN_UNMATCHED`.
 */
export function buildStep(graph: Graph, options: StepOptions): TrainingStep {
  const { step, unreached } = buildWith(graph, options);
  if (unreached.length === 0) return step;
  // An update without a gradient would still let a weight decay.
  return buildWith(graph, { ...options, groups: [...frozen(unreached), ...(options.groups ?? [])] })
    .step;
}

/** The step, and those of its parameters that the loss does not depend on. */
function buildWith(
  graph: Graph,
  options: StepOptions,
): { readonly step: TrainingStep; readonly unreached: readonly string[] } {
  const { optimizer, objective, clipNorm } = options;
  const { network, outputName, nodes, sizes, trained, statistics } = subjectOf(graph, options);
  const empty = emptyGraph(`${network.name} training step`);
  const emit = new GraphEmitter(empty, inferTypes(empty));
  const state = new StateInputs(emit);
  const values = new Map<string, Value>();
  for (const [name, own] of sizes) values.set(name, emit.ints(own));
  const inputs = feedInputs(emit, network, nodes, options.inputShapes, values);
  const { target: targetType } = options;
  const target = targetType && emit.input("target", targetType.dtype, targetType.shape);
  const scalars = optimizer.scalars.map((name) => emit.input(name, "float32", []));
  const read = (name: string, weight: Value): Value => {
    const step = options.weightSteps?.get(name);
    return step === undefined ? weight : emitRounded(emit, weight, step);
  };
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

  for (const name of options.weightSteps?.keys() ?? []) {
    const constant = network.constants.get(name);
    if (constant && !values.has(name)) values.set(name, read(name, emit.constant(constant.read())));
  }

  const { forms, isNoisy } = trainingForms(emit, network, nodes, statistics, values, options);
  embedNodes(emit, network, [...forms.values()], values);
  const output = outputOf(network, outputName, values, inputs);
  const { prediction, form } = headOf(emit, output);
  const forTarget = (aim: Value | undefined) =>
    predictionFor(emit, { name: outputName, output }, aim);
  const named = bundles.flatMap(({ bundle, parts }) =>
    bundle.constants.map(({ name }, i) => [name, parts[i]] as const),
  );
  const parameters = new Map(named);
  const teacher = teacherScores(emit, options.teacher, inputs, outputName);
  const fed = new Map(optimizer.scalars.map((name, i) => [name, scalars[i]]));
  const terms = new Map<string, Value>();
  const tell = (name: string, part: Value) => void terms.set(name, part);
  const parts = { emit, prediction, form, target, teacher, parameters, values, scalars: fed };
  const loss = objective({ ...parts, predictionFor: forTarget, tell });
  for (const value of [loss, ...terms.values()]) requireScalar(value);
  const { raw, isReached } = bundleGradients(emit, bundles, loss);
  const { norm, gradients } = clipped(emit, raw, clipNorm);
  const guard = emitGuard(emit, [loss, norm]);
  for (const [i, { value: parameter, slots, decay, rateFactor }] of bundles.entries()) {
    const gradient = gradients[i];
    const context = { emit, parameter, gradient, slots, scalars, decay, rateFactor };
    const next = optimizer.update(context);
    state.update(parameter, next.parameter);
    for (const [k, slot] of slots.entries()) state.update(slot, next.slots[k]);
  }
  if (running) updateStatistics(emit, state, running, statistics, forms, values);
  const accuracy = emitAccuracy(emit, forTarget(target), target, options.ignoreLabel);

  const told = [loss, norm, guard, ...terms.values(), ...(accuracy ? [accuracy] : [])];
  const measured = new Set(told.map(({ name }) => name));
  const step = withoutDead(emit.build([...measured, ...state.outputs.values()]));
  const suspects: readonly Suspect[] = [
    ...inputs.map((value) => ({ what: `the input "${value.name}"`, value })),
    ...named.map(([name, value]) => ({ what: `the parameter "${name}"`, value })),
    ...[...forms.values()].flatMap(({ outputs }) => suspectsOf(outputs, values)),
    { what: "the loss", value: loss },
    ...bundles.map(({ bundle }, i) => suspectGradient(bundle, raw[i])),
  ];
  const unreached = named.flatMap(([name, { name: part }]) => (isReached(part) ? [] : [name]));
  const built: TrainingStep = {
    graph: step,
    target: target?.name,
    scalars: (at, rate) =>
      new Map(
        optimizer
          .scalarsAt(at, rate)
          .map((value, i) => [scalars[i].name, tensorOf("float32", [], [value])]),
      ),
    state: state.outputs,
    initial: state.initial,
    guard: guard.name,
    loss: loss.name,
    terms: new Map([...terms].map(([name, value]) => [name, value.name])),
    norm: norm.name,
    accuracy: accuracy?.name,
    weightState: state.bundleInputs,
    weightsOf: (tensors) => state.unbundle(tensors),
    network,
    parameters: trained.map(({ constant }) => constant.name),
    isNoisy,
    probe: () => emitProbe(emit, suspects),
  };
  return { step: built, unreached };
}

/** What a step is built of: the network as it is fed, and what of it is trained. */
interface Subject {
  /** With statistics of its own for each normalization. */
  readonly network: Graph;
  readonly outputName: string;
  /** On which the output depends, as they run with the batch of the step. */
  readonly nodes: readonly Node[];
  /** Shapes that they read, by the name of a constant: see `rebatch`. */
  readonly sizes: ReadonlyMap<string, readonly number[]>;
  readonly trained: readonly Parameter[];
  /** Those that follow the batch; none where they are frozen. */
  readonly statistics: readonly Statistics[];
}

function subjectOf(graph: Graph, options: StepOptions): Subject {
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

/** The gradient of each bundle, in its shape; zeros where the loss does not depend on a parameter. */
function bundleGradients(
  emit: GraphEmitter,
  bundles: readonly TrainedBundle[],
  loss: Value,
): { readonly raw: readonly Value[]; readonly isReached: (part: string) => boolean } {
  const names = bundles.flatMap(({ parts }) => parts.map(({ name }) => name));
  const gradients = emitGradients(emit, loss, names);
  const raw = bundles.map(({ bundle, parts, keepsZeros }) => {
    const values = parts.map((part) => {
      const gradient = gradients.get(part.name) ?? emit.filled(0, part.shape);
      return algebraOf(emit, loss).cast(gradient);
    });
    const gradient = emit.reshape(emitBundled(emit, values), bundle.shape);
    return keepsZeros ? withoutZeros(emit, bundle, gradient) : gradient;
  });
  return { raw, isReached: (part) => gradients.has(part) };
}

function suspectGradient({ constants }: Bundle, value: Value): Suspect {
  const names = constants.map(({ name }) => `"${name}"`);
  const list = names.length > 1 ? `one of ${names.join(", ")}` : names[0];
  return { what: `the gradient of ${list}`, value };
}

function suspectsOf(names: readonly string[], values: ReadonlyMap<string, Value>): Suspect[] {
  return names.flatMap((name) => {
    const value = values.get(name);
    return value === undefined ? [] : [{ what: `the value "${name}"`, value }];
  });
}
