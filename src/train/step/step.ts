/**
 * @file A training step as an ONNX graph: the network in training form, loss, gradients, the update
 * of the parameters, and what is measured on the way. The size of the batch is part of the graph.
 */
import type { GraphEmitter } from "../../grad/emitter.ts";
import { headOf } from "../../grad/head.ts";
import { emitGradients } from "../../grad/reverse.ts";
import type { Graph } from "../../ir/graph.ts";
import { withoutDead } from "../../ir/live.ts";
import { algebraOf } from "../../ops/operator/algebra.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { type HostTensor, tensorOf } from "../../tensor/host-tensor.ts";
import { type Bundle, emitBundled } from "../network/bundles.ts";
import { frozen } from "../network/parameters.ts";
import { withoutZeros } from "./kept-zeros.ts";
import type { Objective, ObjectiveContext } from "./objectives.ts";
import type { Optimizer } from "./optimizers.ts";
import { emitProbe, type Probe, type Suspect } from "./probe.ts";
import { updateStatistics } from "./running-statistics.ts";
import { type EmittedNetwork, emitNetwork, subjectOf, type TrainedBundle } from "./step-network.ts";
import type { StepOptions } from "./step-options.ts";
import {
  clipped,
  emitAccuracy,
  emitGuard,
  predictionFor,
  requireScalar,
  scaled,
  teacherScores,
} from "./step-parts.ts";

/** A step that is ready to run. */
export interface TrainingStep {
  /** The graph that computes the step. Its inputs are those of the network, `target`, scalars and state. */
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
  readonly cuts: StepCuts;
}

/** Values at which a step may be cut in two, for replicas: all before them belongs to a share of the batch. */
export interface StepCuts {
  /** Gradients and next statistics. */
  readonly sums: readonly Value[];
  /** The loss and what else is told of the batch, float32 of rank 0. */
  readonly told: readonly string[];
  /** What is measured of one gradient each and read by all updates, float32 of rank 0. */
  readonly figures: readonly string[];
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
  const { optimizer } = options;
  const subject = subjectOf(graph, options);
  const forward = emitNetwork(subject, options);
  const { emit, state, values, inputs, target, scalars, bundles, running, forms } = forward;
  const { outputName, output } = forward;
  const forTarget = (aim: Value | undefined) =>
    predictionFor(emit, { name: outputName, output }, aim);
  const head = headOf(emit, output);
  const parameters = new Map(
    bundles.flatMap(({ bundle, parts }) => bundle.constants.map(({ name }, i) => [name, parts[i]])),
  );
  const { share = 1 } = options;
  const { loss, terms } = emitLoss(options.objective, share, {
    emit,
    prediction: head.prediction,
    form: head.form,
    predictionFor: forTarget,
    target,
    teacher: teacherScores(emit, options.teacher, inputs, outputName),
    parameters,
    values,
    scalars: new Map(optimizer.scalars.map((name, i) => [name, scalars[i]])),
  });
  const { raw, isReached } = bundleGradients(emit, bundles, loss);
  const { squares, norm, gradients } = clipped(emit, raw, options.clipNorm);
  const guard = emitGuard(emit, [loss, norm]);
  emitUpdates(forward, optimizer, gradients);
  const statistics = running
    ? updateStatistics(emit, state, running, { ...subject, forms, values, share })
    : [];
  const hits = emitAccuracy(emit, forTarget(target), target, options.ignoreLabel);
  const accuracy = hits && scaled(emit, hits, share);

  const told = [loss, ...terms.values(), ...(accuracy ? [accuracy] : [])].map(({ name }) => name);
  const measured = new Set([...told, norm.name, guard.name]);
  const step: TrainingStep = {
    graph: withoutDead(emit.build([...measured, ...state.outputs.values()])),
    target: target?.name,
    scalars: (at, rate) => scalarsToFeed(scalars, optimizer.scalarsAt(at, rate)),
    state: state.outputs,
    initial: state.initial,
    guard: guard.name,
    loss: loss.name,
    terms: new Map([...terms].map(([name, value]) => [name, value.name])),
    norm: norm.name,
    accuracy: accuracy?.name,
    weightState: state.bundleInputs,
    weightsOf: (tensors) => state.unbundle(tensors),
    network: subject.network,
    parameters: subject.trained.map(({ constant }) => constant.name),
    isNoisy: forward.isNoisy,
    probe: () => emitProbe(emit, suspectsIn(forward, parameters, loss, raw)),
    cuts: {
      sums: [...raw, ...statistics],
      told: [...new Set(told)],
      figures: squares.map(({ name }) => name),
    },
  };
  const unreached = [...parameters].flatMap(([name, part]) => (isReached(part.name) ? [] : [name]));
  return { step, unreached };
}

/** Emits the loss of a share of a batch, with the parts of it that the objective tells. */
function emitLoss(
  objective: Objective,
  share: number,
  context: Omit<ObjectiveContext, "tell">,
): { readonly loss: Value; readonly terms: ReadonlyMap<string, Value> } {
  const terms = new Map<string, Value>();
  const tell = (name: string, part: Value) => void terms.set(name, part);
  const loss = objective({ ...context, tell });
  for (const value of [loss, ...terms.values()]) requireScalar(value);
  const { emit } = context;
  return {
    loss: scaled(emit, loss, share),
    terms: new Map([...terms].map(([name, part]) => [name, scaled(emit, part, share)])),
  };
}

/** Emits what parameters and slots are at the next step. */
function emitUpdates(
  { emit, state, scalars, bundles }: EmittedNetwork,
  optimizer: Optimizer,
  gradients: readonly Value[],
): void {
  for (const [i, { value: parameter, slots, decay, rateFactor }] of bundles.entries()) {
    const gradient = gradients[i];
    const context = { emit, parameter, gradient, slots, scalars, decay, rateFactor };
    const next = optimizer.update(context);
    state.update(parameter, next.parameter);
    for (const [k, slot] of slots.entries()) state.update(slot, next.slots[k]);
  }
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

/** The scalar inputs of a step, with the values to feed. */
function scalarsToFeed(
  inputs: readonly Value[],
  values: readonly number[],
): ReadonlyMap<string, HostTensor> {
  return new Map(values.map((value, i) => [inputs[i].name, tensorOf("float32", [], [value])]));
}

/** Everything that may be the first value that is not finite, in the order of the computation. */
function suspectsIn(
  { inputs, forms, values, bundles }: EmittedNetwork,
  parameters: ReadonlyMap<string, Value>,
  loss: Value,
  gradients: readonly Value[],
): readonly Suspect[] {
  return [
    ...inputs.map((value) => ({ what: `the input "${value.name}"`, value })),
    ...[...parameters].map(([name, value]) => ({ what: `the parameter "${name}"`, value })),
    ...[...forms.values()].flatMap(({ outputs }) => suspectsOf(outputs, values)),
    { what: "the loss", value: loss },
    ...bundles.map(({ bundle }, i) => suspectGradient(bundle, gradients[i])),
  ];
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
