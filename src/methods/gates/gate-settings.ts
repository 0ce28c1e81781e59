/** @file The options that methods with random gates share, and the places of their gates. */
import { EspalierError } from "../../errors.ts";
import { nodesBehind } from "../../ir/live.ts";
import { candidateUnits } from "../../structure/choice/select.ts";
import type { LearningContext } from "../method/learned-method.ts";
import type { MethodContext } from "../method/method.ts";
import {
  advanced,
  choice,
  count,
  type MethodOption,
  number,
  type OptionsOf,
  orAuto,
  toggle,
} from "../method/options.ts";
import { collapse, rollsBackCollapse } from "../posterior/monitors.ts";
import { type Gate, gatesOf } from "./filter-gates-sites.ts";
import { chooseLambda, type Lambda, unitShares } from "./gate-lambda.ts";
import { gateForms } from "./gate-posterior.ts";
import type { GateTraining } from "./gate-training.ts";
import { randomizable } from "./noisy-gates.ts";

/** The options of a method with random gates. */
export function gateOptions(epochs: MethodOption<number>) {
  return { lambda, epochs, ...optionsBesideEpochs };
}

const lambda = orAuto(
  number(
    { least: 0 },
    1,
    "Weight of the gates' divergence in the loss, which acts as a threshold on the squared signal-to-noise ratio: a larger value closes more gates; auto is ln N for N samples, or less where that is enough for the target, but at least 1.",
  ),
);

const optionsBesideEpochs = {
  rate: number({ above: 0 }, 0.001, "Learning rate of the network."),
  gateRate: number({ above: 0 }, 0.01, "Learning rate of the gates."),
  stream: toggle(
    false,
    "Puts gates on residual streams as well; off puts them only inside blocks.",
  ),
  weight: choice(
    ["none", "flops"],
    "none",
    "Weighs lambda by unit: equally, or in proportion to the multiply-accumulates that the unit saves.",
  ),
  warmup: advanced(
    number(
      { least: 0, most: 1 },
      0.25,
      "Share of the steps over which lambda rises from 0 to its full weight.",
    ),
  ),
  form: advanced(
    choice(
      gateForms,
      "gaussian",
      "Parametrisation of a gate's noise: its variance (gaussian), or its variance relative to the gate (alpha).",
    ),
  ),
  threshold: advanced(
    number(
      { least: 0 },
      1,
      "Squared signal-to-noise ratio up to which a unit counts as dead: a larger value removes more units.",
    ),
  ),
  collapse,
  statistics: advanced(
    choice(
      ["frozen", "batch"],
      "frozen",
      "Batch normalization uses its running statistics while gates are trained (frozen), or those of batches.",
    ),
  ),
  images: advanced(
    count(
      1,
      1024,
      "Number of images on which the gates' Fisher information is measured, where lambda is auto.",
    ),
  ),
  compensate: advanced(
    toggle(
      true,
      "Compensates for removed channels by their expected value according to batch normalization; off changes no parameter.",
    ),
  ),
};

/** The values of {@link gateOptions}. */
export type GateOptions = OptionsOf<ReturnType<typeof gateOptions>>;

/** The training settings of the gates that the options give. */
export function gateTraining(options: GateOptions): GateTraining {
  const { form, epochs, rate, gateRate, warmup: warmUp, statistics, threshold } = options;
  const rollsBack = rollsBackCollapse(options.collapse);
  return { form, epochs, rate, gateRate, warmUp, statistics, threshold, rollsBack };
}

/**
 * The places of random gates: behind all layers whose filters may be removed and on which a trained output depends, in
 * graph order. Fails with `MODEL_UNSUPPORTED` where there is no such place.
 */
export function randomGates(
  {
    structure,
    rules,
    options,
  }: Pick<MethodContext, "structure" | "rules"> & {
    readonly options: Pick<GateOptions, "stream">;
  },
  outputs: readonly string[] = structure.analysis.graph.outputs.slice(0, 1),
): readonly Gate[] {
  const { nodes } = structure.analysis.graph;
  const behind = nodesBehind(nodes, outputs);
  const computed = new Set(behind.flatMap((node) => [...node.inputs, ...node.outputs]));
  const candidates = new Set(candidateUnits(structure, rules));
  const all = randomizable(gatesOf(structure), structure)
    .filter(({ units }) => units.some((unit) => candidates.has(unit)))
    .filter(({ sites }) => sites.some(({ value }) => computed.has(value)));
  const gates = all.filter(({ group }) => options.stream || !structure.groups[group].isStream);
  if (gates.length > 0) return gates;
  const hint =
    all.length > 0
      ? "All prunable channels are on residual streams; the option stream=on puts gates there."
      : "They stand behind layers with constant weights whose channels can be removed.";
  throw new EspalierError("MODEL_UNSUPPORTED", "no layer's filters could have random gates", {
    hint,
  });
}

/** λ, and λ A_c for the units of each gate. */
export async function gateWeights(
  context: LearningContext<GateOptions>,
  gates: readonly Gate[],
): Promise<{ readonly lambda: Lambda; readonly weights: (gate: Gate) => Float64Array }> {
  const { lambda: given, weight, images } = context.options;
  const shares = unitShares(context, gates, weight);
  const lambda =
    given === "auto"
      ? await chooseLambda(context, gates, shares, images)
      : { value: given, reason: "as given" };
  const weighted = new Map(
    [...shares].map(([gate, own]) => [gate, own.map((share) => share * lambda.value)]),
  );
  return { lambda, weights: (gate) => weighted.get(gate) ?? new Float64Array(gate.units.length) };
}
